/** What an action may connect to: plain programs, names from a server of the test, other servers on loopback. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { makeCertificate } from '../../mesh/broker/x509.js'
import { parseProfile } from '../../policies/profile.js'
import { Egress, type EgressHooks, type NetworkFacts } from '../../sandbox/egress/egress.js'
import { resolver } from '../../sandbox/egress/resolve.js'
import { launch } from '../../sandbox/launch.js'
import { findPlaces } from '../../sandbox/place.js'
import { grantedPaths, planLaunch } from '../../sandbox/plan.js'
import { type NameServer, nameServer } from './name-server.js'
import { newStage, pool } from './stage.js'

const curl = existsSync('/usr/bin/curl') && (await realpath('/usr/bin/curl'))
const shell = await realpath('/bin/sh')

describe('the network of an action', { skip: !curl && 'there is no curl here', concurrency: 2 }, () => {
  let names: NameServer
  let port = 0
  const large = Buffer.alloc(3_000_000, 'x')
  const server = createServer((request, response) => {
    if (request.url === '/large') return void response.end(large)
    let length = 0
    request.on('data', (piece: Buffer) => {
      length += piece.length
    })
    request.on('end', () => response.end(`hello ${request.headers.host?.split(':')[0]} ${length}`))
  })

  before(async () => {
    names = await nameServer({
      'docs.example.org': ['127.0.0.1'],
      'other.example.org': ['127.0.0.1'],
      'metadata.example.org': ['169.254.169.254'],
      'mixed.example.org': ['127.0.0.1', '10.0.0.1'],
    })
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
    port = (server.address() as AddressInfo).port
  })
  after(() => {
    names.close()
    server.close()
  })

  interface Told {
    readonly kind: string
    readonly facts: NetworkFacts
  }

  async function run(rules: string, script: string, hooks: Partial<EgressHooks> = {}) {
    const { workspace } = await newStage()
    const profile = parseProfile(
      `filesystem_policy: { include_workdir: true, read_only: [/usr, /bin, /lib, /lib64] }\n${rules.replaceAll('PORT', String(port))}`,
    )
    const action = { program: shell, args: ['-c', script.replaceAll('PORT', String(port))] }
    const told: Told[] = []
    const egress = new Egress({
      profile,
      workspace,
      own: { program: shell, names: ['tool:shell'] },
      resolve: resolver([names.place]),
      intend: async (facts) => void told.push({ kind: 'network.intended', facts }),
      record: (kind, facts) => void told.push({ kind, facts }),
      ...hooks,
    })
    const places = await findPlaces(grantedPaths(profile, workspace, action))
    const outcome = await launch(planLaunch(profile, workspace, action, places), { pool, egress })
    return { ...outcome, out: outcome.stdout.toString(), err: outcome.stderr.toString(), told }
  }

  const allowed = `network_policies: { docs: { endpoints: [{ host: docs.example.org, port: PORT, allowed_ips: [127.0.0.1] }], binaries: [{ path: ${curl} }] } }`

  test('a plain program reaches a host that is allowed, by its name, and every byte is told', async () => {
    const { out, err, told } = await run(allowed, 'curl -sS -d 12345 http://docs.example.org:PORT/')
    assert.equal(out, 'hello docs.example.org 5', err)
    const [intended, ended, ...more] = told
    assert.deepEqual(more, [])
    assert.deepEqual([intended?.kind, ended?.kind], ['network.intended', 'network.ended'])
    const { sha256 = '', ...facts }: Record<string, unknown> = intended?.facts ?? {}
    assert.deepEqual(facts, { host: 'docs.example.org', port, program: curl, address: '127.0.0.1' })
    assert.match(String(sha256), /^[0-9a-f]{64}$/)
    assert.ok(Number(ended?.facts['sent']) > 100 && Number(ended?.facts['received']) > 100, JSON.stringify(ended))
  })

  test('three megabytes come through whole, and four at once', async () => {
    const { out, err } = await run(
      allowed,
      'for i in 1 2 3 4; do curl -sS http://docs.example.org:PORT/large | wc -c & done; wait',
    )
    assert.equal(out, '3000000\n'.repeat(4), err)
  })

  test('whoever waits for a place among many has it before those that came later', {
    skip: !existsSync('/usr/bin/python3') && 'there is no Python here',
  }, async () => {
    const program = `import socket, threading
threading.stack_size(1 << 18)
place = (socket.gethostbyname("docs.example.org"), PORT)
connect = lambda: socket.create_connection(place)
held = [connect() for _ in range(64)]
later, done = [], threading.Event()
def wait():
    connect().close()
    done.set()
def hasten():
    while not done.is_set() and len(later) < 200:
        later.append(connect().close())
threads = [threading.Thread(target=each) for each in (wait, hasten, hasten, hasten)]
for thread in threads: thread.start()
held.pop().close()
for thread in threads: thread.join()
print(len(later) < 100)`
    const rules = allowed.replace(`${curl}`, '"/usr/bin/python3*", script: "*"')
    const { out, err } = await run(`${rules}\nlimits: { processes: 100 }`, `python3 -c '${program}'`)
    assert.equal(out, 'True\n', err)
  })

  test('what no rule names has no address, and nobody outside is asked for it', async () => {
    const { exitCode, told } = await run(allowed, 'curl -sS http://secret-in-a-name.other.example.org:PORT/')
    assert.equal(exitCode, 6, 'curl could not resolve it')
    assert.deepEqual(
      told.map(({ kind, facts }) => [kind, facts.host]),
      [['network.refused', 'secret-in-a-name.other.example.org']],
    )
    assert.ok(!names.asked.some((name) => name.startsWith('secret')))
  })

  test('another program than the one of the rule is refused, whoever started it', async () => {
    const wget = existsSync('/usr/bin/wget')
    const { exitCode, told } = await run(
      allowed.replace(`${curl}`, '/usr/bin/wget'),
      `${wget ? '' : ': ; '}curl -sS http://docs.example.org:PORT/`,
    )
    assert.equal(exitCode, 7, 'curl could not connect')
    assert.deepEqual(
      told.map(({ kind, facts }) => [kind, facts.program, facts['reason']]),
      [['network.refused', curl, 'no policy allows it']],
    )
  })

  test('the port is a part of what is allowed', async () => {
    const { exitCode } = await run(allowed, 'curl -sS http://docs.example.org:1/')
    assert.equal(exitCode, 7)
  })

  test('a name that leads into this machine or to its keys is not dialled unless its address is named', async () => {
    const rules = (host: string, ips = '') =>
      `network_policies: { docs: { endpoints: [{ host: ${host}, port: PORT ${ips} }], binaries: [{ path: ${curl} }] } }`
    const reasonOf = async (host: string, ips = '') => {
      const { told } = await run(rules(host, ips), `curl -sS http://${host}:PORT/`)
      return told.map(({ kind, facts }) => [kind, facts['reason']])
    }
    assert.deepEqual(await reasonOf('docs.example.org'), [['network.refused', 'private']])
    assert.deepEqual(await reasonOf('metadata.example.org', ', allowed_ips: [169.254.169.254]'), [
      ['network.refused', 'never reached'],
    ])
    assert.deepEqual(await reasonOf('mixed.example.org', ', allowed_ips: [127.0.0.1]'), [
      ['network.refused', 'not among allowed_ips'],
    ])
  })

  test('a name that leads elsewhere the second time leads an action where it led first', async () => {
    const rules = allowed.replace('docs.example.org', 'moves.example.org').replace('[127.0.0.1]', '[127.0.0.0/8]')
    names.names.set('moves.example.org', ['127.0.0.1'])
    const { out, err, told } = await run(rules, 'for i in 1 2; do curl -sS http://moves.example.org:PORT/; done', {
      record: (kind, { host }) => {
        if (kind === 'network.ended') names.names.set(host, ['127.0.0.2'])
      },
    })
    assert.equal(out, 'hello moves.example.org 0'.repeat(2), err)
    assert.deepEqual(
      told.map(({ facts }) => facts['address']),
      ['127.0.0.1', '127.0.0.1'],
    )
    assert.deepEqual(names.names.get('moves.example.org'), ['127.0.0.2'])
  })

  test('an intent that cannot be recorded stops the connection', async () => {
    let connections = 0
    const canary = createTcpServer(() => {
      connections += 1
    })
    await new Promise<void>((ready) => canary.listen(0, '127.0.0.1', ready))
    const { port: its } = canary.address() as AddressInfo
    const { exitCode } = await run(
      allowed.replace('PORT', String(its)),
      `curl -sS -m 5 http://docs.example.org:${its}/`,
      {
        intend: () => Promise.reject(new Error('the audit stream is down')),
      },
    )
    canary.close()
    assert.deepEqual([exitCode, connections], [7, 0])
  })

  test('an unlisted host is asked for where the policy says so; one answer holds for the action', async () => {
    const asked: string[] = []
    const script =
      'curl -sS http://docs.example.org:PORT/; curl -sS http://docs.example.org:PORT/; curl -sS http://other.example.org:PORT/'
    const { told } = await run('ask: [{ connect: "*.example.org:PORT" }]', script, {
      ask: async ({ kind, path }) => {
        asked.push(`${kind} ${path}`)
        return path.startsWith('docs') ? 'allow' : { refusedBy: 'Grace' }
      },
    })
    assert.deepEqual(asked, [
      `connect docs.example.org:${port} by ${curl}`,
      `connect other.example.org:${port} by ${curl}`,
    ])
    // A yes does not reach into this machine.
    assert.deepEqual(
      told.map(({ facts }) => [facts.host, facts['reason'], facts['again']]),
      [
        ['docs.example.org', 'private', undefined],
        ['other.example.org', 'it was not allowed, by Grace', undefined],
        ['docs.example.org', 'private', 1],
      ],
    )
  })

  test('nobody is asked for what a yes would not reach', async () => {
    const asked: string[] = []
    const hosts = ['127.0.0.1', '169.254.169.254']
    const { told } = await run(
      'ask: [{ connect: "*:PORT" }]',
      hosts.map((host) => `curl -sS -m 5 http://${host}:PORT/; `).join(''),
      {
        ask: async ({ path }) => {
          asked.push(path)
          return 'allow'
        },
      },
    )
    assert.deepEqual(asked, [])
    assert.deepEqual(
      told.map(({ facts }) => [facts.host, facts['reason']]),
      [
        ['127.0.0.1', 'private'],
        ['169.254.169.254', 'never reached'],
      ],
    )
  })

  test('by TLS a program reaches the name that was allowed, and no other at the same place', async () => {
    const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    const [serial, day] = [Buffer.from([1]), 86_400_000]
    const times = { notBefore: Date.now() - day, notAfter: Date.now() + day }
    const issuer = { name: 'nobody', key, publicKey }
    const cert = makeCertificate({ subject: 'shared', publicKey, issuer, serial, ...times })
    const pem = key.export({ type: 'pkcs8', format: 'pem' })
    // Of the curves that clients begin with it takes none, so it asks each for another hello.
    const shared = createTlsServer({ key: pem, cert, ecdhCurve: 'prime256v1' }, (request, response) =>
      response.end(`${Object(request.socket).servername} `),
    )
    await new Promise<void>((ready) => shared.listen(0, '127.0.0.1', ready))
    const its = (shared.address() as AddressInfo).port
    const script = `curl -skS https://docs.example.org:${its}/ -w '%{ssl_verify_result} '
      curl -skS --tls-max 1.2 https://docs.example.org:${its}/
      curl -skS --connect-to other.example.org:443:docs.example.org:${its} https://other.example.org/; echo $?`
    const { out, err, told } = await run(allowed.replace('PORT', String(its)), script)
    shared.close()
    assert.match(out, /^docs\.example\.org \d+ docs\.example\.org 35\n$/, err)
    assert.deepEqual(
      told.filter(({ kind }) => kind === 'network.refused').map(({ facts }) => [facts.host, facts['reason']]),
      [['docs.example.org', 'by TLS it asks for other.example.org']],
    )
    const ended = told.filter(({ kind }) => kind === 'network.ended').map(({ facts }) => [facts['tls'], facts['sent']])
    assert.deepEqual(ended.at(-1), [false, 0], 'nothing of it went out')
    assert.deepEqual(
      ended.slice(0, 2).map(([tls]) => tls),
      [true, true],
    )
  })

  test('at port 443 nothing goes out but TLS', async (context) => {
    let bytes = 0
    const plain = createTcpServer((socket) => {
      socket
        .on('error', () => undefined)
        .on('data', (piece) => {
          bytes += piece.length
        })
    })
    // An address of its own: others on this machine may listen at that port too.
    const address = `127.${1 + (process.pid % 254)}.${Math.floor(process.pid / 254) % 254}.44`
    const listens = await new Promise<boolean>((settle) => {
      plain.once('error', () => settle(false)).listen(443, address, () => settle(true))
    })
    if (!listens) return context.diagnostic('not tried: this user may not listen at that port')
    names.names.set('plain.example.org', [address])
    const rules = allowed.replace('docs.example.org', 'plain.example.org').replace('PORT', '443')
    const { out, told } = await run(
      rules.replace('[127.0.0.1]', '[127.0.0.0/8]'),
      'curl -s http://plain.example.org:443/; echo $?',
    )
    plain.close()
    assert.match(out, /^(52|56)\n$/, 'curl got no answer')
    assert.equal(bytes, 0)
    const reasons = told.filter(({ kind }) => kind === 'network.refused').map(({ facts }) => facts['reason'])
    assert.deepEqual(reasons, ['what it says there is not to be understood: it does not begin as TLS does'])
  })

  test('where nobody listens, the program hears so', async () => {
    const { exitCode, told } = await run(allowed.replace('PORT', '1'), 'curl -sS http://docs.example.org:1/')
    assert.equal(exitCode, 7)
    assert.deepEqual(
      told.map(({ kind, facts }) => [kind, facts['error']]),
      [
        ['network.intended', undefined],
        ['network.ended', 111],
      ],
    )
  })

  test('an action that ends while its questions are still being answered has ended as it did', {
    skip: !existsSync('/bin/bash') && 'there is no bash here',
  }, async () => {
    // More than one read of the client: whoever answers what came with the first, has not read the last line yet.
    const question = `\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\1q\\0\\0\\1\\0\\1${'x'.repeat(1150)}`
    const asking = `exec 9>/dev/udp/127.0.0.1/53; for i in {1..80}; do printf '${question}' >&9; done; sleep 0.2; exit 7`
    const began = performance.now()
    const { exitCode, told } = await run(allowed, `exec bash -c "${asking.replaceAll('\\', '\\\\')}"`, {
      // Called for the first question, and nothing is heard before it returns: the action has ended by then.
      record: (_, { again }) => {
        if (again === undefined) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600)
      },
    })
    assert.deepEqual([exitCode, told], [7, []])
    assert.ok(performance.now() - began > 600, 'it asked')
  })

  test('without somebody to decide there is no network, whatever the policy says', async () => {
    const { workspace } = await newStage()
    const profile = parseProfile(
      `filesystem_policy: { read_only: [/usr, /bin, /lib, /lib64] }\n${allowed.replace('PORT', '1')}`,
    )
    const action = { program: shell, args: ['-c', 'curl -sS http://127.0.0.1/'] }
    const plan = planLaunch(profile, workspace, action, await findPlaces(grantedPaths(profile, workspace, action)))
    assert.notEqual((await launch(plan, { pool })).exitCode, 0)
  })
})
