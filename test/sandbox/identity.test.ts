/** Of an interpreter it is the script that counts: the one that it was started with, whatever it says of itself later. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, realpath, symlink, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { loadersOf, scriptOf } from '../../policies/interpreter.js'
import { parseProfile } from '../../policies/profile.js'
import { Egress, type NetworkFacts } from '../../sandbox/egress/egress.js'
import { launch } from '../../sandbox/launch.js'
import { findPlaces } from '../../sandbox/place.js'
import { grantedPaths, planLaunch } from '../../sandbox/plan.js'
import { newStage, pool } from './stage.js'

const python = existsSync('/usr/bin/python3') && (await realpath('/usr/bin/python3'))
const shell = await realpath('/bin/sh')

/** In a sandbox /tmp is the action's own, and so nothing in it is a script that counts. */
const outsideOfTmp = '/var/tmp'

/** The call that every C library makes once when a program begins. */
const setTidAddress = process.arch === 'x64' ? 218 : 96

/** Writes over its own command line, as the system then shows it, and begins again as far as it can. */
const lie = (script: string) => `import ctypes, os, sys
def lie():
    fields = open('/proc/self/stat').read().rsplit(')', 1)[1].split()
    start, end = int(fields[45]), int(fields[46])
    ctypes.memmove(start, b'python3\\0-I\\0${script}\\0'.ljust(end - start, b'\\0'), end - start)
    ctypes.CDLL(None).syscall(${setTidAddress}, ctypes.byref(ctypes.c_int()))
    shown = open('/proc/self/cmdline').read()
    assert shown.startswith('python3\\0-I\\0${script}\\0'), shown
    exec(open('${script}').read())
if sys.argv[1] == 'fork' and os.fork() > 0:
    os.wait()
else:
    lie()
`

describe('a rule for an interpreter', { skip: !python && 'there is no Python here', concurrency: 2 }, () => {
  interface Told {
    readonly kind: string
    readonly facts: NetworkFacts
  }

  async function run(binary: (script: string) => string, script: string, ask?: (path: string) => void) {
    const { folder, workspace } = await newStage(outsideOfTmp)
    const server = createServer((socket) => socket.end('hello ').on('error', () => undefined))
    await new Promise<void>((ready) => server.unref().listen(0, '127.0.0.1', ready))
    const { port } = server.address() as AddressInfo
    const fetch = join(workspace, 'fetch.py')
    // Nobody is asked for what is private; each question is refused, so nothing is dialled there.
    const host = ask ? '93.184.215.14' : '127.0.0.1'
    const source = `import socket\nprint(socket.create_connection(('${host}', ${port})).recv(9).decode(), end='')\n`
    for (const name of ['fetch.py', 'other.py']) await writeFile(join(workspace, name), source)
    await writeFile(join(workspace, 'liar.py'), lie(fetch))
    const lent = join(folder, 'lent')
    for (const name of ['out', 'lent']) await mkdir(join(workspace, name))
    await symlink(join(workspace, 'lent'), lent)
    const endpoint = `{ host: ${host}, port: ${port}, allowed_ips: [127.0.0.1] }`
    const rules = ask
      ? `ask: [{ connect: ${host} }]`
      : `network_policies: { docs: { endpoints: [${endpoint}], binaries: [${binary(fetch)}] } }`
    const profile = parseProfile(
      `filesystem_policy: { read_only: [., /usr, /bin, /lib, /lib64], read_write: [./out, "${lent}"] }\n${rules}`,
    )
    const action = { program: shell, args: ['-c', script] }
    const told: Told[] = []
    const egress = new Egress({
      profile,
      workspace,
      own: { program: shell, names: ['tool:shell'] },
      resolve: async (host) => [host],
      record: (kind, facts) => void told.push({ kind, facts }),
      ...(ask && {
        ask: async ({ path }) => {
          ask(path)
          return { refusedBy: 'Grace' }
        },
      }),
    })
    const places = await findPlaces(grantedPaths(profile, workspace, action))
    const outcome = await launch(planLaunch(profile, workspace, action, places), { pool, egress })
    server.close()
    const sha256 = createHash('sha256').update(source).digest('hex')
    return { out: outcome.stdout.toString(), err: outcome.stderr.toString(), told, workspace, fetch, sha256, port }
  }

  const named = (script: string) => `{ path: "/usr/bin/python3*", script: "${script}" }`

  test('is one for the script that it names, by whatever name that is started', async () => {
    const { out, err, told, fetch } = await run(
      named,
      'python3 fetch.py; python3 -I "$PWD/fetch.py"; exec python3 -B ./fetch.py',
    )
    assert.equal(out, 'hello hello hello ', err)
    assert.deepEqual([...new Set(told.map(({ facts }) => facts.script))], [fetch])
  })

  test('is none for another script, for code of its own, and for what was made to bring some along', async () => {
    const others = [
      'python3 other.py',
      'python3 -c "$(cat fetch.py)"',
      'python3 < fetch.py',
      'python3 -m fetch',
      'PYTHONPATH=out python3 fetch.py',
      'LD_PRELOAD=/lib/none.so python3 fetch.py',
      'env -u PYTHONNOUSERSITE python3 fetch.py',
      'cp fetch.py out; python3 out/fetch.py',
      'cp fetch.py lent; python3 lent/fetch.py',
      'ln -s ../fetch.py out/link.py; python3 out/link.py',
      'cd out; python3 ../fetch.py',
    ]
    const { out, told, fetch, workspace } = await run(
      named,
      others.map((other) => `(${other}) 2>> out/errors`).join('; '),
    )
    assert.equal(out, '')
    assert.deepEqual(
      told.map(({ facts }) => [facts.script, facts['reason'], facts['again']]),
      [
        [join(workspace, 'other.py'), 'no policy allows it', undefined],
        [undefined, 'no policy allows it', undefined],
        [fetch, 'PYTHONPATH may have made it another program', undefined],
        [fetch, 'LD_PRELOAD may have made it another program', undefined],
        [undefined, 'no policy allows it', 7],
      ],
    )
  })

  test('is none for one that says later that it is the script, and none for a child of it that does', async () => {
    const room = 'x'.repeat(200)
    const { out, err, told } = await run(named, `python3 -B liar.py here ${room}; python3 -B liar.py fork ${room}`)
    assert.equal(out, '')
    assert.equal(err.match(/PermissionError/g)?.length, 2, err)
    assert.ok(told.every(({ kind }) => kind === 'network.refused'))
  })

  test('is none for one that was given the same addresses, where a machine gives all the same', {
    skip: !existsSync('/usr/bin/setarch') && 'there is no setarch here',
  }, async () => {
    const { stdout } = await promisify(execFile)('setarch', [
      '-R',
      process.execPath,
      join(import.meta.dirname, 'same-addresses.js'),
    ])
    assert.equal(stdout, 'good hello\n')
  })

  test('can be bound to what the script says, and can be one for all if it says so', async () => {
    const pinned = (hash: string) => (script: string) =>
      `{ path: "/usr/bin/python3*", script: "${script}", sha256: '${hash}' }`
    const [other, any] = [
      await run(pinned('0'.repeat(64)), 'python3 fetch.py 2> out/errors'),
      await run(() => '{ path: "/usr/bin/python3*", script: "*" }', 'python3 other.py; python3 -c "$(cat fetch.py)"'),
    ]
    assert.deepEqual([other.out, any.out], ['', 'hello hello '], any.err)
    for (const path of ['/usr/bin/python3', '/usr/bin/python3*', '/usr/local/bin/node', '/bin/sh'])
      assert.throws(
        () =>
          parseProfile(
            `network_policies: { a: { endpoints: [{ host: a.example.org, port: 1 }], binaries: [{ path: "${path}" }] } }`,
          ),
        /binaries\.0\.script is missing/,
      )
  })

  test('is what a question names: script and hash, or the hash of the command', async () => {
    const asked: string[] = []
    const { port, fetch, sha256 } = await run(
      named,
      '(python3 fetch.py; python3 -c "$(cat fetch.py)"; python3 -Bc "$(cat fetch.py)") 2> out/errors',
      (path) => asked.push(path),
    )
    assert.equal(asked[0], `93.184.215.14:${port} by ${python} running ${fetch} sha256:${sha256}`)
    assert.match(asked[1] ?? '', /^93\.184\.215\.14:\d+ by \S+ running code of its own sha256:[0-9a-f]{64}$/)
    assert.ok(asked.length === 3 && asked[1] !== asked[2], 'other code is another question')
  })
})

test('of a command line only what is understood names a script', () => {
  const [py, node] = ['/usr/bin/python3.11', '/usr/bin/node']
  const said = (program: string, line: string, variables: string[] = ['PYTHONNOUSERSITE']) =>
    scriptOf(program, line.split(' '), variables)
  assert.equal(said(py, 'python3 -uB /a.py -c x'), '/a.py')
  assert.equal(said(py, 'python3 /a.py', []), undefined, 'what lies in its home would be run too')
  assert.equal(said(py, 'python3 -I /a.py', []), '/a.py')
  for (const line of [
    'python3',
    'python3 -',
    'python3 -c x /a.py',
    'python3 -m a',
    'python3 -W x /a.py',
    'python3 -i /a.py',
  ])
    assert.equal(said(py, line), undefined, line)
  assert.equal(said(node, 'node --no-warnings /a.js'), '/a.js')
  for (const line of [
    'node --require /b.js /a.js',
    'node -e 1',
    'node --import=/b.js /a.js',
    'node --env-file=x /a.js',
  ])
    assert.equal(said(node, line), undefined, line)
  assert.equal(said('/usr/bin/dash', 'sh -e /a.sh'), '/a.sh')
  assert.equal(said('/usr/bin/dash', 'sh -ec x'), undefined)
  assert.equal(said('/usr/bin/curl', 'curl /a'), undefined)
  assert.deepEqual(loadersOf(py, ['PYTHONUNBUFFERED', 'PYTHONSTARTUP', 'LD_AUDIT', 'PATH']), [
    'PYTHONSTARTUP',
    'LD_AUDIT',
  ])
  assert.deepEqual(loadersOf('/usr/bin/curl', ['PYTHONSTARTUP', 'LD_PRELOAD']), ['LD_PRELOAD'])
})
