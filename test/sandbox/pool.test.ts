import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { ClawmeshError } from '../../policies/errors.js'
import { encodeRequest } from '../../sandbox/frames.js'
import { Pool } from '../../sandbox/pool.js'
import { encodeSpec } from '../../sandbox/spec.js'
import { descendant, descendantsOf, parentOf } from './descendant.js'
import { newStage, plan, programs, shell } from './stage.js'

const root = process.geteuid?.() === 0

function newPool(options: ConstructorParameters<typeof Pool>[0] = {}): Pool {
  const pool = new Pool(options)
  after(() => pool.close())
  return pool
}

const failed = (text: RegExp) => (error: unknown) =>
  error instanceof ClawmeshError && error.code === 'SANDBOX_FAILED' && text.test(error.message)

describe('a pool', () => {
  test('prepares workers while it is idle, and uses each for one action only', async () => {
    const { workspace } = await newStage()
    const pool = newPool({ idle: 2 })
    await shell(programs, workspace, ':', { pool })
    const used = new Set<number>()
    for (let round = 0; round < 6; round += 1) {
      const idle = await workers(pool, 2)
      const running = shell(programs, workspace, `: single-use-${round}; read line; :`, { pool, stdin: '\n' })
      const gone = await running.then(() => idle)
      await until(async () => (await workersOf(pool)).filter((pid) => gone.includes(pid)).length < 2, 'a worker stayed')
      const ended = gone.filter((pid) => used.has(pid))
      assert.deepEqual(ended, [], 'a worker that had served was idle again')
      const left = await workersOf(pool)
      for (const pid of gone) if (!left.includes(pid)) used.add(pid)
    }
    assert.equal(used.size, 6, 'each action took one prepared worker')
  })

  test('an action runs under a worker that was prepared before it', async () => {
    const { workspace } = await newStage()
    const pool = newPool({ idle: 1 })
    await shell(programs, workspace, ':', { pool })
    const [prepared] = await workers(pool, 1)
    const controller = new AbortController()
    const running = shell(programs, workspace, ': prepared-before; sleep 60; :', { pool, signal: controller.signal })
    const action = await descendant('prepared-before')
    assert.equal(await parentOf(await parentOf(action)), prepared)
    controller.abort()
    assert.equal((await running).killed, true)
  })

  test('does not give an action a worker that has died while it waited', async () => {
    const { workspace } = await newStage()
    const pool = newPool({ idle: 2 })
    await shell(programs, workspace, ':', { pool })
    for (const pid of await workers(pool, 2)) process.kill(pid, 'SIGKILL')
    await until(async () => (await workersOf(pool)).length === 0, 'they are still there')
    assert.equal((await shell(programs, workspace, 'echo well', { pool })).out, 'well\n')
  })

  test('that is dead ends its actions, leaves nothing, and is there again for the next', async () => {
    const { workspace } = await newStage()
    const pool = newPool()
    const running = shell(
      programs,
      workspace,
      'setsid sh -c ": daemon-dies; sleep 60; :" & : daemon-dies; sleep 60; :',
      { pool },
    )
    await descendant('daemon-dies')
    const first = (await pool.pid()) ?? 0
    let mine: number[] = []
    await until(async () => {
      mine = (await descendantsOf(first)).map(({ pid }) => pid)
      return mine.length > 4
    }, 'not all of it has started')
    process.kill(first, 'SIGKILL')
    await assert.rejects(running, failed(/ended from outside/))
    await until(
      async () => (await Promise.all(mine.map(parentOf))).every((parent) => parent === 0),
      'something was left',
    )
    assert.equal((await shell(programs, workspace, 'echo again', { pool })).out, 'again\n')
    assert.notEqual(await pool.pid(), first)
  })

  test('whose worker is dead ends that action only', async () => {
    const { workspace } = await newStage()
    const pool = newPool()
    const other = shell(programs, workspace, ': other-lives; until [ -e go ]; do sleep 0.05; done; echo on', { pool })
    const running = shell(programs, workspace, ': worker-dies; sleep 60; :', { pool })
    const action = await descendant('worker-dies')
    process.kill(await parentOf(await parentOf(action)), 'SIGKILL')
    await assert.rejects(running, failed(/ended from outside/))
    await until(async () => (await parentOf(action)) === 0, 'the action is still there')
    await writeFile(join(workspace, 'go'), '')
    assert.equal((await other).out, 'on\n')
  })

  test('a client that goes without a word takes its action along', async () => {
    const { workspace } = await newStage()
    const pool = newPool()
    const { socket, kill } = await pool.worker()
    const decided = await plan(programs, workspace, { program: '/bin/sh', args: ['-c', ': client-goes; sleep 60; :'] })
    socket.on('error', () => undefined)
    socket.write(encodeRequest(encodeSpec(decided)))
    const action = await descendant('client-goes')
    kill()
    await until(async () => (await parentOf(action)) === 0, 'the action is still there')
  })

  test('that is closed ends its actions and takes no more', async () => {
    const { workspace } = await newStage()
    const controller = new AbortController()
    const pool = new Pool({ signal: controller.signal })
    const running = shell(programs, workspace, ': pool-closes; sleep 60; :', { pool })
    await descendant('pool-closes')
    const daemon = (await pool.pid()) ?? 0
    controller.abort()
    await assert.rejects(running, failed(/ended from outside/))
    await until(async () => (await parentOf(daemon)) === 0, 'the daemon is still there')
    await assert.rejects(shell(programs, workspace, ':', { pool }), failed(/has ended/))
  })

  test('that keeps ending is not started for ever, and nothing runs without it', async () => {
    const { folder, workspace } = await newStage()
    const program = join(folder, 'ends-at-once')
    await writeFile(program, '#!/bin/sh\necho started >> "$(dirname "$0")/starts"\nexit 1\n', { mode: 0o755 })
    const pool = newPool({ program })
    for (let tries = 0; tries < 3; tries += 1)
      await assert.rejects(shell(programs, workspace, 'echo ran > ran', { pool }), failed(/ended at once/))
    await assert.rejects(shell(programs, workspace, 'echo ran > ran', { pool }), failed(/3 times in a row/))
    assert.equal((await readFile(join(folder, 'starts'), 'utf8')).trim().split('\n').length, 3)
    assert.deepEqual(await readdir(workspace), [])
  })

  test('leaves no name of its socket behind, and serves nobody but the process that started it', async () => {
    const { folder, workspace } = await newStage()
    const usual = process.env.TMPDIR
    process.env.TMPDIR = folder
    const pool = newPool()
    await shell(programs, workspace, ':', { pool })
    if (usual === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = usual
    assert.deepEqual((await readdir(folder)).sort(), ['target', 'workspace'])
    const held = (await readdir('/proc/self/fd')).map((fd) => `/proc/${process.pid}/fd/${fd}`)
    const links = await Promise.all(held.map(async (path) => ({ path, to: await readlink(path).catch(() => '') })))
    const place = links.find(({ to }) => to.includes('clawmesh-pool-'))
    assert.ok(place, 'the descriptor to connect by')
    const stranger = `require('node:net').connect(process.argv[1])
      .on('connect', function () { this.write(Buffer.alloc(8)); console.log('connected') })
      .on('data', (bytes) => console.log('served', bytes.length)).on('error', () => {}).on('close', () => console.log('closed'))`
    const { stdout } = spawnSync(process.execPath, ['-e', stranger, place.path], { encoding: 'utf8' })
    assert.deepEqual(stdout.trim().split('\n').sort(), ['closed', 'connected'])
  })

  test('sees what was mounted after its workers were prepared', {
    skip: root && 'root’s workers take mounts from outside; unprivileged.long.test.ts runs this as a plain user',
  }, () => {
    const fixture = join(import.meta.dirname, 'mount-later.js')
    const { stdout, stderr } = spawnSync('unshare', ['-Urm', process.execPath, fixture], { encoding: 'utf8' })
    assert.equal(stdout, 'mounted later\n', stderr)
  })
})

async function workersOf(pool: Pool): Promise<number[]> {
  const daemon = (await pool.pid()) ?? 0
  const all = await descendantsOf(daemon)
  // What removes control groups has no process 1 below it.
  return all
    .filter(({ pid, parent }) => parent === daemon && all.some((each) => each.parent === pid))
    .map(({ pid }) => pid)
}

/** All that there are, once there are so many. */
async function workers(pool: Pool, count: number): Promise<number[]> {
  let found: number[] = []
  await until(async () => {
    found = await workersOf(pool)
    return found.length === count
  }, 'the workers were not prepared')
  return found
}

/** Looks every few milliseconds, for at most half a minute or so. */
async function until(holds: () => Promise<boolean>, otherwise: string): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    if (tries === 3000) assert.fail(otherwise)
    await new Promise((soon) => setTimeout(soon, 10))
  }
}
