/** The rule of the operating system for the process that holds the keys: a program in its place, under the very same rule, and that process itself. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { MeshNode } from '../../../mesh/index.js'
import { installation } from '../../../mesh/installation.js'
import { openTlsAuthority } from '../../../nodes/authority/tls.js'
import { readConfig } from '../../../nodes/config.js'
import { confined, whyNot } from '../../../nodes/keys/confined.js'
import { holderProfile, placeOf } from '../../../nodes/keys/profile.js'
import type { ClawmeshError } from '../../../policies/errors.js'
import type { Channel } from '../../../router/egress/channel.js'
import { Holder } from '../../../router/egress/holder.js'
import { isUnanswered } from '../../../router/egress/unanswered.js'
import type { Delta } from '../../../router/provider/form.js'
import { ProviderStore } from '../../../router/provider/store.js'
import { resolver } from '../../../sandbox/egress/resolve.js'
import { childrenOf } from '../../kit/children.js'
import { auditEvents } from '../../kit/events.js'
import { eventually } from '../../kit/eventually.js'
import { memoryMesh, type TestMesh, temporaryFolder } from '../../kit/mesh.js'
import { openCloud } from '../../router/cloud.js'
import { nameServer } from '../../sandbox/name-server.js'
import type { Attempt } from './confined-program.js'

const module = fileURLToPath(new URL('./confined-program.js', import.meta.url))

describe('what the key store says of where to send', () => {
  it('is a host and a port, however it is written', () => {
    for (const [url, host, port] of [
      ['https://api.example.com/v1', 'api.example.com', 443],
      ['https://API.example.com.:8443', 'api.example.com', 8443],
      ['http://localhost:11434/v1', 'localhost', 11_434],
      ['http://127.0.0.1/v1', '127.0.0.1', 80],
      ['https://[2001:db8::1]/v1', '2001:db8::1', 443],
    ] as const)
      assert.deepEqual(placeOf(url), { host, port }, url)
  })

  it('becomes a rule for these alone, and what leads into a private network is held to where it led', () => {
    const known = new Map([
      ['api.example.com', ['93.184.215.14']],
      ['models.lan', ['10.0.0.7', 'fd00::7']],
      ['metadata.example.com', ['169.254.169.254']],
    ])
    const urls = ['https://api.example.com', 'https://models.lan:8443', 'https://metadata.example.com']
    const local = ['http://localhost:8080', 'http://127.0.0.1:9000', 'https://unknown.example.com']
    const { network, read, write, ask } = holderProfile([...urls, ...local], known)
    assert.deepEqual([read, write, ask], [[], [], []])
    assert.deepEqual(network, [
      {
        name: 'providers',
        binaries: [{ path: 'tool:egress' }],
        endpoints: [
          { host: 'api.example.com', ports: [443], allowedIps: [] },
          { host: 'models.lan', ports: [8443], allowedIps: ['10.0.0.7', 'fd00::7'] },
          { host: 'metadata.example.com', ports: [443], allowedIps: [] },
          { host: 'localhost', ports: [8080], allowedIps: ['127.0.0.1', '::1'] },
          { host: '127.0.0.1', ports: [9000], allowedIps: ['127.0.0.1'] },
          { host: 'unknown.example.com', ports: [443], allowedIps: [] },
        ],
      },
    ])
  })
})

const why = await whyNot()

/** What every action has, what Node needs, and where authorities are, if this machine was told of some. */
const variables = [
  ...['HOME', 'LANG', 'PATH', 'PYTHONNOUSERSITE', 'TMPDIR', 'UV_THREADPOOL_SIZE', 'UV_USE_IO_URING'],
  ...Object.keys(readConfig().certificates),
]

const undo: (() => unknown)[] = []
const folder = temporaryFolder()
after(async () => {
  for (const step of undo.splice(0).reverse()) await step()
  rmSync(folder, { recursive: true, force: true })
})

/** One that asks a provider, started by the words before it. */
async function program(store: string, before: readonly string[] = []) {
  const cloud = await openCloud()
  undo.push(() => cloud.close())
  const [path, sealing] = [join(folder, store), randomBytes(32)]
  new ProviderStore(path, sealing).add('cloud', { form: 'openai', url: cloud.url, key: 'k-0', models: ['large'] })
  const module = join(installation, 'dist', 'test', 'nodes', 'keys', 'program.js')
  const words = [...before, process.execPath, module, path, sealing.toString('hex'), 'confined', 'hello']
  const asking = spawn(words[0] ?? '', words.slice(1), { env: { PATH: readConfig().searchPath } })
  undo.push(() => asking.kill('SIGKILL'))
  return { asking, cloud }
}

describe('a program in the place of the process that holds the keys', { skip: why ?? false }, () => {
  let mesh: TestMesh
  let node: MeshNode
  before(async () => {
    mesh = await memoryMesh()
    undo.push(() => mesh.close())
    node = await mesh.join('holder', { roles: ['authority'] })
  })

  /** Answers `ok` to whoever looks, and a question with the end of an answer; counts who came. */
  async function listener(
    host: string,
    port = 0,
    shown?: { certificate: string; key: string },
  ): Promise<{ port: number; came: () => number }> {
    let count = 0
    const answer: RequestListener = ({ method }, response) => {
      count += 1
      response.end(method === 'POST' ? 'data: [DONE]\n\n' : 'ok')
    }
    const server = shown ? createTlsServer({ cert: shown.certificate, key: shown.key }, answer) : createServer(answer)
    await new Promise<void>((resolve) => server.listen(port, host, resolve))
    undo.push(() => server.close())
    return { port: (server.address() as AddressInfo).port, came: () => count }
  }

  const started = async (starting: Promise<Channel>): Promise<Channel> => {
    const channel = await starting
    undo.push(() => channel.stop())
    return channel
  }
  async function tried({ input, output }: Channel, attempts: Attempt[]): Promise<string[]> {
    input.write(`${JSON.stringify(attempts)}\n`)
    return JSON.parse(String((await once(output, 'data'))[0]))
  }
  const refusals = async (): Promise<unknown[]> => {
    await node.audit.flush(5000)
    const events = await auditEvents(mesh)
    return events.flatMap(({ kind, facts }) =>
      kind === 'network.refused' ? [`${facts['host']}:${facts['port']} ${facts['reason']}`] : [],
    )
  }

  it('reaches the provider, and no other port, host or name; reads, writes and executes nothing, and has no variable of ours', async () => {
    const provider = await listener('127.0.0.1')
    const canary = await listener('127.0.0.1')
    const other = await listener('127.0.0.2', provider.port)
    const store = new ProviderStore(join(folder, 'providers.sealed'), randomBytes(32))
    store.add('cloud', { form: 'openai', url: `http://127.0.0.1:${provider.port}`, key: 'k', models: ['m'] })
    const urls = [`http://127.0.0.1:${provider.port}/v1`, `http://localhost:${provider.port}/v1`]
    const channel = await started(confined(node, { actor: 'elsewhere/holder' })({ module, urls }))
    const written = join(folder, 'written')
    const child = realpathSync(process.execPath)
    const dial = `require('net').connect(${provider.port}, '127.0.0.1').on('error', (e) => console.log(e.code)).on('connect', () => process.exit(console.log('ok')))`
    const attempts: [Attempt, string | RegExp][] = [
      [{ connect: '127.0.0.1', port: provider.port }, 'ok'],
      [{ connect: 'localhost', port: provider.port }, 'ok'],
      [{ connect: '127.0.0.1', port: canary.port }, 'EACCES'],
      [{ connect: 'localhost', port: canary.port }, 'EACCES'],
      [{ connect: '127.0.0.2', port: provider.port }, 'EACCES'],
      [{ connect: '::1', port: provider.port }, /EACCES|EAFNOSUPPORT/],
      [{ connect: 'ip6-localhost', port: provider.port }, /ENOTFOUND|EAI_AGAIN/],
      [{ read: join(folder, 'providers.sealed') }, /ENOENT|EACCES/],
      [{ read: '/etc/passwd' }, /ENOENT|EACCES/],
      [{ read: module }, 'done'],
      [{ write: written }, /ENOENT|EACCES|EROFS/],
      [{ write: module }, /EACCES|EROFS/],
      [{ execute: '/bin/sh', args: ['-c', 'echo ran'] }, /ENOENT|EACCES/],
      // The same Node, as another program: that is not whom the rule is for.
      [{ execute: child, args: ['-e', dial] }, 'EACCES'],
      [{ variables: true }, variables.sort().join(' ')],
    ]
    const outcomes = await tried(
      channel,
      attempts.map(([attempt]) => attempt),
    )
    for (const [index, [attempt, expected]] of attempts.entries())
      if (typeof expected === 'string') assert.equal(outcomes[index], expected, JSON.stringify(attempt))
      else assert.match(outcomes[index] ?? '', expected, JSON.stringify(attempt))
    assert.deepEqual([provider.came(), canary.came(), other.came(), existsSync(written)], [2, 0, 0, false])
    const told = await refusals()
    for (const { port } of [canary, provider])
      assert.ok(told.includes(`127.0.0.1:${port} no policy allows it`), told.join('\n'))
  })

  it('follows no name that led into a private network and leads elsewhere by now, nor one that leads into one by now', async () => {
    const authority = openTlsAuthority(join(folder, 'tls.json'), 'test', Date.now())
    const shown = authority.issue('models', ['models.invalid', 'open.invalid'], Date.now())
    const trusted = join(folder, 'trusted.pem')
    writeFileSync(trusted, authority.certificate)
    const provider = await listener('127.0.0.1', 0, shown)
    const canary = await listener('127.0.0.2', provider.port, shown)
    const names = await nameServer({ 'models.invalid': ['127.0.0.1'], 'open.invalid': ['192.0.43.8'] })
    undo.push(() => names.close())
    const store = new ProviderStore(join(folder, 'names.sealed'), randomBytes(32))
    for (const name of ['models', 'open']) {
      const url = `https://${name}.invalid:${provider.port}/v1`
      store.add(name, { form: 'openai', url, key: 'k-0', models: ['m'] })
    }
    const before = process.env['NODE_EXTRA_CA_CERTS']
    process.env['NODE_EXTRA_CA_CERTS'] = trusted
    const start = confined(node, { actor: 'elsewhere/holder', resolve: resolver([names.place]) })
    process.env['NODE_EXTRA_CA_CERTS'] = before ?? ''
    const holder = new Holder({ start, providers: store.read(), unsealing: store.unsealing })
    undo.push(() => holder.close())
    const ask = async (provider: string) => {
      const deltas: Delta[] = []
      const body = Buffer.from('{}')
      for await (const delta of holder.ask({ provider, model: 'm' }, body, new AbortController().signal))
        deltas.push(delta)
      return deltas
    }
    assert.deepEqual(await ask('models'), [{ done: true }])
    for (const name of ['models', 'open']) names.names.set(`${name}.invalid`, ['127.0.0.2'])
    assert.deepEqual(await ask('models'), [{ done: true }], 'one process goes by what it was told first')
    holder.close()
    for (const name of ['models', 'open'])
      await assert.rejects(ask(name), (error: ClawmeshError) => {
        assert.deepEqual([error.code, isUnanswered(error)], ['MODEL_FAILED', true])
        return new RegExp(`${name} may not be connected to`).test(error.message)
      })
    assert.deepEqual([provider.came(), canary.came()], [2, 0])
    const told = await refusals()
    assert.ok(told.includes(`models.invalid:${provider.port} not among allowed_ips`), told.join('\n'))
    assert.ok(told.includes(`open.invalid:${provider.port} private`), told.join('\n'))
  })

  it('is gone, sandbox and all, when the node is killed; until then it sends as it would without', async () => {
    const { asking, cloud } = await program('killed')
    assert.equal(String((await once(asking.stdout, 'data'))[0]), 'ok\n')
    assert.match(cloud.sent[0] ?? '', /Bearer k-0/)
    const below = descendants(asking.pid ?? 0)
    assert.ok(below.length > 1)
    asking.kill('SIGKILL')
    await eventually(() => assert.deepEqual(below.filter(isThere), []))
  })
})

describe('where a machine holds nothing', () => {
  it('it is a process of its own all the same, and that is said', async (t) => {
    const build = join(installation, 'sandbox', 'launcher', 'build')
    // A mount namespace of its own: nothing of this is seen outside.
    const script = `mount -t tmpfs tmpfs "${build}" && exec "$@"`
    const before = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh']
    const { asking, cloud } = await program('unheld', before)
    let said = ''
    asking.stderr.on('data', (bytes) => {
      said += String(bytes)
    })
    const [answer] = await Promise.race([once(asking.stdout, 'data'), once(asking, 'exit')])
    if (/unshare|mount/.test(said)) return t.skip('there are no user namespaces to do this in')
    assert.equal(String(answer), 'ok\n', said)
    await eventually(() =>
      assert.match(said, /not kept from the rest of the network here: the launcher has not been built/),
    )
    assert.match(cloud.sent[0] ?? '', /Bearer k-0/)
  })
})

const descendants = (pid: number): number[] => childrenOf(pid).flatMap((each) => [each, ...descendants(each)])

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
