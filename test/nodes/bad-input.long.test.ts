/** Whatever a person gets wrong: one clear error, the right status, nothing left behind. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { actor, on } from '../../mesh/actor/actor.js'
import { message } from '../../mesh/actor/message.js'
import { installation } from '../../mesh/installation.js'
import { ClawmeshError } from '../../policies/errors.js'
import { program } from '../kit/command.js'
import { eventually } from '../kit/eventually.js'
import { memoryMesh, temporaryFolder } from '../kit/mesh.js'
import { command, type Ended, run } from './command.js'

const isRoot = process.geteuid?.() === 0

/** A clone in a folder of root's own cannot be run by anybody else. */
const nobodyIsKeptOut =
  isRoot &&
  spawnSync('setpriv', ['--reuid=nobody', '--regid=nogroup', '--clear-groups', 'test', '-r', program]).status !== 0
    ? 'an ordinary user cannot read this clone'
    : false
const day = 24 * 60 * 60 * 1000
const usage = 2
const denied = 3
const unavailable = 4

describe('bad input', () => {
  let folder: string
  let workspace: string
  let data: string

  before(() => {
    folder = temporaryFolder()
    chmodSync(folder, 0o755)
    workspace = join(folder, 'workspace')
    mkdirSync(workspace)
    writeFileSync(join(workspace, 'notes.txt'), 'one\ntwo\n')
    data = join(folder, 'data')
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const start = (...args: string[]) =>
    command('start', 'How many lines has notes.txt?', '--once', '--workspace', workspace, ...args)

  /** One message, one hint, no trace of the code behind it, no process and no lock. */
  async function check(ended: Ended, status: number, says: RegExp, advises: RegExp): Promise<void> {
    assert.equal(ended.status, status, ended.stderr)
    const [text = '', hint = '', ...more] = ended.error
    assert.match(text, /^clawmesh: \S/)
    assert.match(text, says)
    assert.match(hint, /^ {2}\S/)
    assert.match(hint, advises)
    assert.deepEqual(more, [], 'more than one error is told')
    assert.doesNotMatch(ended.stderr, /^\s+at |node:internal/m)
    await eventually(() => assert.deepEqual(ended.left(), []))
    assert.equal(existsSync(join(data, 'lock')), false, 'a lock is left')
  }

  const typed: [string, () => string[], RegExp, RegExp][] = [
    ['an unknown command', () => ['dance'], /no command "dance"/, /start, .*audit, /],
    [
      'a family of commands without a word',
      () => ['tasks'],
      /"tasks" is several commands/,
      /tasks list, .*tasks forget/,
    ],
    ['an unknown word of a family', () => ['tasks', 'burn'], /no command "tasks burn"/, /tasks list/],
    ['an unknown option', () => ['start', '--fast'], /no option --fast; it has --workspace/, /start --help/],
    ['an option without its value', () => ['start', '--port'], /--port needs a value: --port N/, /start --help/],
    ['a value where there is none', () => ['start', '--once=1'], /--once takes no value/, /start --help/],
    ['an empty value', () => ['start', '--data', ''], /--data is empty/, /start --help/],
    ['two requests', () => ['start', 'count', 'lines'], /more than one request/, /quotation marks/],
    ['an empty request', () => ['start', ' ', '--data', data], /nothing that could be done/, /for example/],
    ['an endless sentence', () => ['start', 'x'.repeat(500), '--data', data], /too long/, /shorter/],
    ['a word too many', () => ['audit', 'verify', 'all'], /takes no "all"/, /audit verify --help/],
    ['a folder without a mesh', () => ['audit', 'verify', '--data', join(folder, 'none')], /no mesh in/, /--data/],
    [
      'a workspace that is not there',
      () => ['start', 'count', '--workspace', join(folder, 'none')],
      /ENOENT/,
      /--workspace/,
    ],
    [
      'a workspace of which nothing is asked',
      () => ['start', '--workspace', workspace],
      /Nothing is asked of the workspace/,
      /for example: `npm start -- "how many lines/,
    ],
    [
      'a sentence about two files at once',
      () => ['start', 'Compare a.txt with b.txt', '--data', data],
      /more than a tool can take: a\.txt, b\.txt/,
      /one file in each sentence/,
    ],
    [
      'a workspace that is a file',
      () => ['start', 'count', '--workspace', join(workspace, 'notes.txt')],
      /ENOTDIR/,
      /--workspace/,
    ],
    [
      'a policy that is not there',
      () => ['start', '--policy', join(folder, 'none.yaml')],
      /none\.yaml cannot be read/,
      /preset: ask-first, /,
    ],
    ['a policy that is not YAML', () => ['start', '--policy', policy('a: [')], /:1 is not valid YAML/, /preset/],
    [
      'a policy with an unknown field',
      () => ['start', '--policy', policy('limits: { wall: 3 }')],
      /limits\.wall is not a known field/,
      /preset/,
    ],
    [
      'a policy that cannot be enforced',
      () => ['start', '--policy', policy('network_policies: { web: {} }')],
      /network_policies/,
      /preset/,
    ],
    ['a port that is no number', () => ['start', '--port', 'many', '--data', data], /"many" is no port/, /65535/],
    ['a port out of range', () => ['start', '--port', '70000', '--data', data], /"70000" is no port/, /65535/],
    [
      'a name that no node may have',
      () => ['up', '--name', 'Bad Name', '--data', data],
      /no name for a node/,
      /hyphens/,
    ],
    ['a policy of nobody', () => ['up', '--policy', 'nosuch', '--data', data], /nosuch/, /ask-first/],
    [
      'an export to nowhere',
      () => ['audit', 'export', '--to', join(folder, 'none', 'x'), '--data', data],
      /no folder/,
      /Make it/,
    ],
    [
      'a data folder that is a file',
      () => ['start', '--data', join(workspace, 'notes.txt')],
      /cannot be used/,
      /--data/,
    ],
  ]

  function policy(text: string): string {
    const path = join(folder, 'policy.yaml')
    writeFileSync(path, text)
    return path
  }

  for (const [name, args, says, advises] of typed) {
    it(`refuses ${name}`, async () => {
      const ended = await command(...args())
      await check(ended, usage, says, advises)
      assert.equal(ended.stdout, '')
    })
  }

  it('is told before anything is done that a policy refuses every action of the workspace', async () => {
    const ended = await start('--policy', 'code-workspace', '--data', data)
    await check(ended, denied, /\.git read-only/, /Make it first/)
    const [first = '', ...more] = ended.stderr.split(/^· 1 part/m)
    assert.match(first, /^· Every action in .*workspace is refused under the policy code-workspace: .*\.git/m)
    assert.equal(more.length, 1, ended.stderr)
  })

  it('tells a program in JSON what it tells a person in words', async () => {
    const ended = await command('start', '--port', 'many', '--json', '--data', data)
    await check(ended, usage, /no port/, /65535/)
    const { ok, error } = JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '')
    assert.deepEqual([ok, error.code], [false, 'USAGE'])
    assert.ok(ended.stderr.includes(error.message) && ended.stderr.includes(error.hint))
  })

  it('names commands as they are typed in a clone, where there is no program of that name', async () => {
    const { stderr } = await run(['nodes', '--data', data], { env: { INIT_CWD: folder } }).ended
    assert.match(stderr, /`npm run clawmesh -- up --data '?\//)
    assert.doesNotMatch(stderr, /`clawmesh /)
  })

  it('refuses a workspace that the person may not read', { skip: nobodyIsKeptOut }, async () => {
    const closed = join(folder, 'closed')
    mkdirSync(closed, { mode: 0o000 })
    const before = isRoot ? ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups'] : []
    const home = { HOME: join(folder, 'home of nobody') }
    await check(
      await run(['start', 'count', '--workspace', closed], { before, env: home }).ended,
      usage,
      /EACCES/,
      /--workspace/,
    )
  })

  it('refuses a port that is taken', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' ? String(address?.port) : ''
    const ended = await start('--port', port, '--data', data, '--json')
    server.close()
    await check(ended, unavailable, new RegExp(`Port ${port} .*cannot be used`), /--port/)
    assert.equal(JSON.parse(ended.stdout).error.code, 'PORT_TAKEN')
  })

  describe('in the model', () => {
    const model = () => join(folder, 'model')
    const faults: [string, () => void, RegExp][] = [
      ['whose file has a flipped byte', () => flip(join(model(), 'model.onnx')), /model\.onnx.*SHA-256/],
      [
        'whose file was cut short',
        () => truncateSync(join(model(), 'tokenizer.json'), 100),
        /tokenizer\.json.*100 bytes/,
      ],
      ['without a manifest', () => rmSync(join(model(), 'manifest.json')), /manifest\.json.*missing/],
    ]
    for (const [name, spoil, says] of faults) {
      it(`refuses a model ${name}`, async () => {
        rmSync(model(), { recursive: true, force: true })
        cpSync(join(installation, 'inference', 'shipped', 'model'), model(), { recursive: true })
        spoil()
        await check(await start('--model', model(), '--data', data), unavailable, says, /Restore the model folder/)
      })
    }
  })

  function flip(path: string): void {
    const bytes = readFileSync(path)
    const middle = bytes.length >> 1
    bytes[middle] = (bytes[middle] ?? 0) ^ 1
    writeFileSync(path, bytes)
  }

  describe('in the machine', () => {
    const stub = (text: string) => {
      const path = join(folder, 'some program')
      writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
      return { CLAWMESH_NATS_SERVER: path }
    }
    const withServer = (env: Record<string, string>) =>
      run(['start', 'count', '--workspace', workspace, '--data', data], { env }).ended

    it('refuses a nats-server that is none', async () => {
      await check(
        await withServer(stub('echo hello')),
        unavailable,
        /does not run as a nats-server: it answered "hello"/,
        /CLAWMESH_NATS_SERVER/,
      )
      await check(
        await withServer({ CLAWMESH_NATS_SERVER: join(folder, 'none') }),
        unavailable,
        /ENOENT/,
        /CLAWMESH_NATS_SERVER/,
      )
    })

    it('refuses a nats-server that is too old', async () => {
      await check(
        await withServer(stub('echo nats-server: v2.8.0')),
        unavailable,
        /is nats-server 2\.8\.0; clawmesh needs 2\.9/,
        /Update it/,
      )
    })

    it('refuses the folder of a mesh that runs, the key of one that is damaged, and the time of one that is from tomorrow', async () => {
      const own = join(folder, 'own')
      const staying = run(['start', '--data', own])
      await eventually(() => assert.match(staying.stderr(), /nats-server .* at/), 20_000)
      const second = await start('--data', own)
      assert.match(second.stderr, new RegExp(`belongs to a mesh that is running \\(process ${staying.child.pid}\\)`))
      await check(second, unavailable, /is running/, /--data/)
      const beside = await run(['start', 'How many lines has notes.txt?', '--workspace', workspace], {
        env: { CLAWMESH_DATA: own },
      }).ended
      assert.equal(beside.status, 0, beside.stderr)
      assert.ok(beside.stderr.includes(`${own} belongs to a mesh that is running`), beside.stderr)
      assert.ok(beside.stderr.includes(`trail in ${own}-2`), beside.stderr)
      staying.child.kill('SIGINT')
      await staying.ended

      const file = join(own, 'authority', 'authority.json')
      const whole = readFileSync(file, 'utf8')
      const made = JSON.parse(whole) as { created: number }
      writeFileSync(file, JSON.stringify({ ...made, created: made.created + day }))
      await check(await start('--data', own), denied, /clock says .*, but this mesh was made at/, /NTP/)
      for (const damaged of [whole.slice(0, 100), '{}', JSON.stringify({ ...made, rootSecret: 'zz' })]) {
        writeFileSync(file, damaged)
        await check(await start('--data', own), denied, /key file .* is damaged/, /backup/)
      }
      assert.equal(existsSync(join(own, 'lock')), false)
    })
  })

  it('tells a caller whose clock is a day off that it is', async () => {
    const Hello = message('test.hello', { request: z.string(), reply: z.string() })
    const host = actor('host', () => [on(Hello, (name) => `hello ${name}`)])
    // A little less, so that certificates of a day are still good ahead of it.
    for (const off of [day - 30 * 60_000, -day]) {
      const mesh = await memoryMesh()
      const here = await mesh.join('here')
      await here.spawn(host, { as: 'host' })
      await assert.rejects(
        async () => {
          const there = await mesh.join('there', { now: () => Date.now() + off })
          await there.ref('host').ask(Hello, 'you', { timeoutMs: 10_000 })
        },
        (error) => error instanceof ClawmeshError && error.code === 'CLOCK_SKEW' && /NTP/.test(error.hint),
        `${off > 0 ? 'ahead' : 'behind'}`,
      )
      await mesh.close()
    }
  })
})

describe('a disk that is full', () => {
  const inOwnMounts = isRoot ? ['unshare', '-m'] : ['unshare', '-Urm']
  const mounted = (folder: string, size: string) => [
    ...inOwnMounts,
    'sh',
    '-c',
    `mount -t tmpfs -o size=${size} tmpfs "${folder}" && exec "$@"`,
    'sh',
  ]

  it('from the start stops the start', async () => {
    const folder = temporaryFolder()
    const ended = await run(['start', '--once', '--json', '--data', join(folder, 'data')], {
      before: mounted(folder, '8m'),
    }).ended
    assert.equal(ended.status, unavailable, ended.stderr)
    assert.equal(JSON.parse(ended.stdout).error.code, 'DISK_FULL')
    assert.match(ended.error.join('\n'), /^clawmesh: Only \d+ MB are free .*\n {2}Free some space/)
    assert.deepEqual(ended.left(), [])
    rmSync(folder, { recursive: true })
  })

  it('from some moment of the run on ends it with that reason, and the next start has every event', async () => {
    const folder = temporaryFolder()
    const data = join(folder, 'data')
    const again = `"$@"; status=$?; rm "${folder}/filler"; "$@" >&2 || exit 90; "$1" "$2" audit verify --data "${data}" >&2 || exit 91; exit $status`
    const before = [
      ...inOwnMounts,
      'sh',
      '-c',
      `mount -t tmpfs -o size=40m tmpfs "${folder}" || exit 99; ${again}`,
      'sh',
    ]
    const running = run(['start', '--once', '--json', '--data', data], { before })
    await eventually(() => assert.match(running.stderr(), /parts for/), 30_000)
    // Seen from here through the process's own view of the files.
    fill(join('/proc', String(running.child.pid), 'root', folder, 'filler'))
    const filled = performance.now()
    const { stdout } = running.child
    assert.ok(stdout)
    await once(stdout, 'data')
    const toldAfterMs = performance.now() - filled
    const ended = await running.ended
    assert.equal(ended.status, unavailable, ended.stderr)
    const { ok, error } = JSON.parse(ended.stdout)
    assert.deepEqual([ok, error.code], [false, 'DISK_FULL'])
    assert.equal(ended.stderr.match(/^clawmesh: /gm)?.length, 1, 'more than one error is told')
    assert.ok(toldAfterMs < 6000, `it took ${Math.round(toldAfterMs)} ms to end`)
    assert.match(ended.stderr, /The audit trail is whole/)
    await eventually(() => assert.deepEqual(ended.left(), []))
    rmSync(folder, { recursive: true })
  })

  function fill(path: string): void {
    const chunk = Buffer.alloc(64 * 1024)
    assert.throws(
      () => {
        for (;;) writeFileSync(path, chunk, { flag: 'a' })
      },
      (error: NodeJS.ErrnoException) => error.code === 'ENOSPC',
    )
  }
})
