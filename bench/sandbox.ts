/**
 * What a sandboxed action costs: `/bin/true` from Node, by a prepared worker and by a launcher of its own, against Node's own spawn, against
 * bubblewrap with the same folders and against sandbox-runtime. An action is all that it takes: the look at the granted paths, the plan, the
 * launch. What it costs that opens are held (opens.ts). And what a held connect with a GET costs, against the same through a CONNECT proxy in
 * Node; nothing is recorded of either.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { installation } from '../mesh/installation.js'
import { parseProfile } from '../policies/profile.js'
import { Egress, findPlaces, grantedPaths, launch, Pool, planLaunch } from '../sandbox/index.js'
import type { Report } from './figure.js'
import { comparedOpens } from './sandbox/opens.js'
import { findPeers } from './sandbox/packages.js'
import { sandboxRuntime } from './sandbox/runtime.js'

const rounds = 200
const pauseMs = 10
const inFlight = 4
const saturatedRounds = 3
const saturatedActions = 200
const connectRounds = 9
const runtimeRounds = 25
const connectsAtOnce = 200

const profile = parseProfile('filesystem_policy: { read_only: [/usr, /bin, /lib, /lib64] }')
const action = { program: '/usr/bin/true', args: [] }

const pool = new Pool()
let [launches, failures] = [0, 0]

async function sandboxed(by?: Pool): Promise<void> {
  const places = await findPlaces(grantedPaths(profile, '/nowhere', action))
  launches += 1
  const launched = launch(planLaunch(profile, '/nowhere', action, places), { pool: by })
  const exitCode = await launched.then(
    (outcome) => outcome.exitCode,
    (error: unknown) => error,
  )
  if (exitCode === 0) return
  failures += 1
  process.stderr.write(`A launch failed: ${exitCode}\n`)
}
const pooled = () => sandboxed(pool)
const oneShot = () => sandboxed()

const folders = [
  '--ro-bind',
  '/usr',
  '/usr',
  ...['bin', 'lib', 'lib64'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]),
]
const bubble = ['--unshare-all', '--die-with-parent', ...folders, '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp']
const plain = () => spawned('/usr/bin/true', [])
const bubbled = () => spawned('bwrap', [...bubble, '/usr/bin/true'])

/** Where the peers are. */
let peers: Record<string, string> = { PATH: '/usr/bin:/bin' }

async function spawned(program: string, args: string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: peers })
  child.stdin.end()
  const [status] = await once(child, 'close')
  if (status !== 0) throw new Error(`${program} ended with ${status}`)
}

export default async function bench(report: Report): Promise<void> {
  const found = await findPeers()
  if (typeof found === 'string') process.stderr.write(`No figure against bubblewrap or sandbox-runtime: ${found}.\n`)
  else peers = found
  const hasBubble = spawnSync('bwrap', [...bubble, '/usr/bin/true'], { env: peers }).status === 0
  if (!hasBubble && typeof found !== 'string')
    process.stderr.write('No figure against bubblewrap: it cannot run here.\n')
  const ours = [pooled, oneShot]
  const all = [...ours, plain, ...(hasBubble ? [bubbled] : [])]
  const figure = (metric: string, value: number, unit: string, baseline: number, aim?: Aim) => {
    const ratio = value / baseline
    if (!Number.isFinite(ratio)) return
    report({ metric, value, unit, baseline, ratio, ...(aim && aimed(aim, ratio)) })
  }

  const [fromPool = 0, single = 0, node = 0, theirs = 0] = await mediansOf(all)
  figure('pooled action /bin/true, against Node spawn', fromPool, 'ms', node, { most: 1.1 })
  figure('pooled action /bin/true, against bubblewrap', fromPool, 'ms', theirs, { most: 0.35 })
  figure('one-shot action /bin/true, against Node spawn', single, 'ms', node)
  figure('one-shot action /bin/true, against bubblewrap', single, 'ms', theirs, { most: 0.75 })

  const [pooledRate = 0, singleRate = 0, nodeRate = 0, bubbleRate = 0] = await saturated(all)
  figure('pooled actions, saturated, against Node spawn', pooledRate, '1/s', nodeRate)
  figure('pooled actions, saturated, against bubblewrap', pooledRate, '1/s', bubbleRate, { least: 2.5 })
  figure('one-shot actions, saturated, against bubblewrap', singleRate, '1/s', bubbleRate)
  const runtime = hasBubble ? await againstRuntime() : undefined
  if (runtime)
    figure('pooled action /bin/true, against sandbox-runtime', runtime.ours, 'ms', runtime.theirs, { most: 0.06 })
  for (const { metric, held, unheld, unit, most } of await comparedOpens(pool))
    figure(metric, held, unit, unheld, { most })
  report({
    metric: `failures of ${launches} launches of /bin/true (of 20,000 by \`npm run soak -- sandbox\`)`,
    ...{ value: failures, unit: '', aim: '0', ok: failures === 0 },
  })
  const { held, proxied } = await connecting()
  figure('connect + GET, held and joined, against a Node CONNECT proxy', held, 'µs', proxied, { most: 0.65 })
  pool.close()
}

/** Milliseconds of each, in turns. Its library is called from a Node as ours is from this one. */
async function againstRuntime(): Promise<{ ours: number; theirs: number } | undefined> {
  const runtime = await sandboxRuntime(peers)
  if (typeof runtime === 'string') {
    process.stderr.write(
      `No figure against sandbox-runtime: it could not be installed, or cannot run here (${runtime}).\n`,
    )
    return undefined
  }
  const taken: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] }
  for (let round = -3; round < runtimeRounds; round += 1) {
    await setTimeout(pauseMs)
    const theirs = await runtime.once()
    await setTimeout(pauseMs)
    const begun = performance.now()
    await pooled()
    if (round < 0) continue
    taken.ours.push(performance.now() - begun)
    taken.theirs.push(theirs)
  }
  await runtime.close()
  return { ours: median(taken.ours), theirs: median(taken.theirs) }
}

/** Medians in microseconds, in turns; both ways, what decides and the server are this process. */
async function connecting(): Promise<{ held: number; proxied: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'clawmesh-bench-'))
  const program = join(folder, 'connect')
  const source = join(installation, 'bench', 'connect.c')
  if (spawnSync('cc', ['-O2', '-static', '-o', program, source]).status !== 0) return { held: 0, proxied: 0 }
  const server = createServer((_, response) => response.end('hello'))
  const proxy = createServer().on('connect', (request, client: Socket) => {
    const [host = '', port = ''] = request.url?.split(':') ?? []
    const remote = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      remote.pipe(client).pipe(remote)
    })
    for (const each of [client, remote]) each.on('error', () => undefined)
  })
  const listening = async (each: Server) => {
    await once(each.listen(0, '127.0.0.1'), 'listening')
    return (each.address() as AddressInfo).port
  }
  const [port, way] = [await listening(server), await listening(proxy)]
  const allowing = parseProfile(`network_policies:
  here: { endpoints: [{ host: 127.0.0.1, port: ${port}, allowed_ips: [127.0.0.1] }], binaries: [{ path: ${program} }] }
limits: { wall_ms: 60000 }`)
  const inSandbox = async () => {
    const its = { program, args: [`${port}`, `${connectsAtOnce}`] }
    const own = { program, names: [] }
    const egress = new Egress({ profile: allowing, workspace: folder, own, resolve: async (host) => [host] })
    const places = await findPlaces(grantedPaths(allowing, folder, its))
    return Number((await launch(planLaunch(allowing, folder, its, places), { pool, egress })).stdout)
  }
  const throughProxy = async () => {
    const child = spawn(program, [`${port}`, `${connectsAtOnce}`, `${way}`], { stdio: ['ignore', 'pipe', 'inherit'] })
    return Number(await text(child.stdout))
  }
  const taken: { held: number[]; proxied: number[] } = { held: [], proxied: [] }
  for (let round = 0; round < connectRounds; round += 1) {
    taken.held.push(await inSandbox())
    taken.proxied.push(await throughProxy())
  }
  server.close()
  proxy.close()
  rmSync(folder, { recursive: true })
  return { held: median(taken.held), proxied: median(taken.proxied) }
}

const median = (values: number[]) => values.sort((one, other) => one - other)[values.length >> 1] ?? 0

type Aim = { most: number } | { least: number }

const aimed = (aim: Aim, ratio: number) =>
  'most' in aim ? { aim: `≤ ${aim.most}`, ok: ratio <= aim.most } : { aim: `≥ ${aim.least}`, ok: ratio >= aim.least }

/**
 * Milliseconds of each, one at a time. Taken in turns, so that what else the machine does falls on all; after a pause, so that what one
 * leaves to be done (namespaces to take down, a worker to prepare) does not fall on the next. The saturated figures have all of that in them.
 */
async function mediansOf(peers: readonly (() => Promise<void>)[]): Promise<number[]> {
  const times = peers.map((): number[] => [])
  for (let round = -10; round < rounds; round += 1)
    for (const [index, peer] of peers.entries()) {
      await setTimeout(pauseMs)
      const begun = performance.now()
      await peer()
      if (round >= 0) times[index]?.push(performance.now() - begun)
    }
  return times.map((each) => each.sort((one, other) => one - other)[Math.floor(each.length / 2)] ?? 0)
}

/** How many of each a second, several at a time; the best round. */
async function saturated(peers: readonly (() => Promise<void>)[]): Promise<number[]> {
  const best = peers.map(() => 0)
  for (let round = 0; round < saturatedRounds; round += 1)
    for (const [index, peer] of peers.entries()) {
      let left = saturatedActions
      const lane = async () => {
        while (left-- > 0) await peer()
      }
      const begun = performance.now()
      await Promise.all(Array.from({ length: inFlight }, lane))
      best[index] = Math.max(best[index] ?? 0, (1000 * saturatedActions) / (performance.now() - begun))
    }
  return best
}
