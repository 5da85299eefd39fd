/**
 * Random policies and random operations: what the pure decision says, and what the kernel then lets be done, have to be the same. Files, folders and
 * programs in a workspace and beside it; connections to servers on loopback.
 */
import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, realpath, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { installation } from '../../mesh/installation.js'
import { ClawmeshError } from '../../policies/errors.js'
import { answerTo } from '../../policies/explain.js'
import { reach } from '../../policies/network.js'
import { type AccessKind, type Profile, parseProfile } from '../../policies/profile.js'
import { Egress } from '../../sandbox/egress/egress.js'
import { launch } from '../../sandbox/launch.js'
import { Pool } from '../../sandbox/pool.js'
import { seededRandom, wholeBelow } from '../kit/random.js'
import { plan } from './stage.js'

const perLaunch = 50
const names = ['a', 'b', 'c']
const hosts = ['one.example.org', 'two.example.org', 'a.two.example.org', 'three.example.net']
const shown = 20

interface Operation {
  readonly does: string
  readonly kind: AccessKind
  /** A path, or HOST:PORT. */
  readonly at: string
}

export async function soakAgreement(count: number, seed: number): Promise<boolean> {
  // Not below /tmp, of which every action has one of its own, to write as it likes.
  const folder = await realpath(await mkdtemp('/var/tmp/clawmesh-agreement-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  // What of a folder of programs only root may enter is not an action's, whatever a policy says.
  await chmod(folder, 0o755)
  const workspace = join(folder, 'workspace')
  const random = seededRandom(seed)
  const upTo = (most: number) => wholeBelow(random, most)
  const oneOf = <Item>(items: readonly Item[]): Item => items[upTo(items.length)] as Item
  const program = join(folder, 'operate')
  const source = join(installation, 'test', 'sandbox', 'operate.c')
  await promisify(execFile)('cc', [
    '-std=gnu11',
    '-O1',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-static',
    '-o',
    program,
    source,
  ])
  const beside = join(folder, 'beside')
  const folders = [workspace, beside].flatMap((top) => [
    top,
    ...names.flatMap((one) => [join(top, one), ...names.map((two) => join(top, one, two))]),
  ])
  const files: string[] = []
  for (const each of folders) {
    await mkdir(each, { recursive: true })
    await writeFile(join(each, 'file'), 'x')
    await copyFile(program, join(each, 'program'))
    await chmod(join(each, 'program'), 0o755)
    files.push(join(each, 'file'), join(each, 'program'))
  }
  const server = createServer((socket) => socket.on('error', () => undefined).end('x'))
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  const { port } = server.address() as AddressInfo
  const pool = new Pool({ idle: 2 })

  const paths = [...folders, ...files].filter((path) => path !== folder)
  const some = (most: number) => Array.from({ length: upTo(most + 1) }, () => JSON.stringify(oneOf(paths)))
  // What is hidden is so only where something around it is granted.
  const top = (...others: string[]) => (upTo(2) === 0 ? [JSON.stringify(oneOf([workspace, beside, ...others]))] : [])
  const policy = () => {
    const rules = Array.from({ length: upTo(3) }, (_, index) => {
      const host = oneOf([...hosts, '"*.example.org"', '"**.example.org"', '"*.two.example.org"'])
      const ips = oneOf(['[127.0.0.1]', '[127.0.0.1]', '[10.0.0.0/8]', undefined])
      const endpoint = `{ host: ${host}, port: ${oneOf([port, port, 1])}${ips ? `, allowed_ips: ${ips}` : ''} }`
      return `  r${index}: { endpoints: [${endpoint}], binaries: [{ path: "${oneOf([program, program, '/usr/bin/curl', `${folder}/**`])}" }] }\n`
    })
    const network = rules.length > 0 ? `network_policies:\n${rules.join('')}` : ''
    return `filesystem_policy: { read_only: [${[...top(folder), ...some(4)]}], read_write: [${[...top(), ...some(3)]}], hidden: [${some(2)}] }\nlimits: { wall_ms: 30000 }\n${network}`
  }
  const operation = (): Operation => {
    if (upTo(8) === 0) return { does: 'connect', kind: 'connect', at: `${oneOf(hosts)}:${port}` }
    const [does, kind, at] = oneOf([
      ['read', 'read', oneOf(files)],
      ['write', 'write', oneOf(files)],
      ['list', 'read', oneOf(folders)],
      ['create', 'write', join(oneOf(folders), 'new')],
      ['execute', 'execute', oneOf(files.filter((path) => path.endsWith('program')))],
    ] as const)
    return { does, kind, at }
  }
  const expected = (profile: Profile, { kind, at }: Operation): boolean => {
    if (kind !== 'connect') return answerTo(profile, { kind, path: at }, workspace) === 'allow'
    const [host = ''] = at.split(':')
    const reached = reach(profile.network, { host, port, programs: [program] })
    return reached?.endpoint.allowedIps.includes('127.0.0.1') ?? false
  }

  const differing: string[] = []
  let done = 0
  let refused = 0
  let granted = 0
  while (done < count) {
    const text = policy()
    const profile = parseProfile(text)
    const operations = Array.from({ length: Math.min(perLaunch, count - done) }, operation)
    const stdin = operations
      .map(({ does, at }) => `${does} ${does === 'connect' ? at.replace(':', ' ') : at}\n`)
      .join('')
    const egress = new Egress({
      profile,
      workspace,
      own: { program, names: [] },
      resolve: async () => ['127.0.0.1'],
    })
    try {
      const { stdout, exitCode } = await launch(await plan(text, workspace, { program, args: [] }), {
        pool: upTo(2) === 0 ? pool : undefined,
        stdin,
        egress,
      })
      const could = stdout.toString()
      if (exitCode !== 0 || could.length !== operations.length)
        differing.push(`${text}ended with ${exitCode} after ${could.length} operations`)
      operations.forEach((each, index) => {
        const is = could[index] === '1'
        granted += is ? 1 : 0
        if (is !== expected(profile, each))
          differing.push(`${text}${each.does} ${each.at}: ${is ? 'could' : 'could not'} be done`)
      })
    } catch (error) {
      // A policy that cannot be held is refused as a whole; that is no difference.
      if (ClawmeshError.from(error).code !== 'DENIED') throw error
      refused += 1
    }
    done += operations.length
  }
  pool.close()
  server.close()
  for (const text of differing.slice(0, shown)) process.stdout.write(`${text}\n\n`)
  process.stdout.write(
    `${done} pairs of policy and operation, ${granted} of them granted: ${differing.length} in which the decision and the kernel differ; ${refused} policies refused as a whole\n`,
  )
  return differing.length === 0
}
