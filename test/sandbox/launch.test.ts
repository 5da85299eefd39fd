import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { lstat, mkdir, readdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ClawmeshError } from '../../policies/errors.js'
import { launch } from '../../sandbox/launch.js'
import { launcherPath } from '../../sandbox/launcher.js'
import type { Identity } from '../../sandbox/place.js'
import { startResident } from '../../sandbox/resident.js'
import { descendant, parentOf } from './descendant.js'
import { newStage, plan, pool, programs, run, shell } from './stage.js'

describe('a launch', () => {
  test('gives input, takes output and tells how it ended', async () => {
    const { workspace } = await newStage()
    const outcome = await shell(programs, workspace, 'cat; echo no >&2; exit 7', { stdin: 'yes' })
    assert.equal(outcome.out, 'yes')
    assert.equal(outcome.err, 'no\n')
    assert.deepEqual([outcome.exitCode, outcome.signal, outcome.timedOut, outcome.killed], [7, null, false, false])
    assert.ok(outcome.wallMs > 0 && outcome.cpuMs > 0 && outcome.maxRssKb > 0)
  })

  test('a program that ends while it is still being written to has ended as it did', async () => {
    const { workspace } = await newStage()
    const waits = await plan(programs, workspace, { program: '/bin/sh', args: ['-c', 'read line; exit 7'] })
    const resident = await startResident(waits, pool ? { pool } : {})
    resident.input.on('error', () => undefined)
    resident.input.write('enough\n')
    // Nothing is heard meanwhile: it has ended by then, and what comes next finds nobody.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
    resident.input.write('too much\n')
    assert.equal(await resident.ended, 'it ended with status 7')
  })

  test('tells a signal from a status', async () => {
    const { workspace } = await newStage()
    const { exitCode, signal } = await shell(programs, workspace, 'kill -TERM $$')
    assert.deepEqual([exitCode, signal], [null, 15])
  })

  test('runs under an unprivileged id, in the workspace, with a clean environment and its own host name', async () => {
    const { workspace } = await newStage()
    process.env.CLAWMESH_CANARY = 'leaked'
    const { out } = await shell(
      programs,
      workspace,
      'id -u; id -g; pwd; hostname; env | cut -d= -f1 | sort | tr "\\n" " "',
    )
    delete process.env.CLAWMESH_CANARY
    assert.deepEqual(out.trim().split('\n'), [
      '1000',
      '1000',
      workspace,
      'sandbox',
      'HOME LANG PATH PWD PYTHONNOUSERSITE TMPDIR '.trim(),
    ])
  })

  test('has four devices that work, and no other', async () => {
    const { workspace } = await newStage()
    const script =
      'for at in null full random urandom zero tty kmsg; do [ -c /dev/$at ] && echo $at; done; head -c 3 /dev/urandom | wc -c; : > /dev/null'
    const { out, exitCode } = await shell(programs, workspace, script)
    assert.deepEqual([out.split('\n'), exitCode], [['null', 'full', 'random', 'urandom', '3', ''], 0])
  })

  test('can open its streams by name', async () => {
    const { workspace } = await newStage()
    const { out, err } = await shell(programs, workspace, 'cat < /dev/stdin > /dev/stdout; echo no > /dev/stderr', {
      stdin: 'yes',
    })
    assert.deepEqual([out, err], ['yes', 'no\n'])
  })

  test('writes in the workspace as whoever owns it, and leaves /tmp behind', async () => {
    const { workspace } = await newStage()
    const { exitCode } = await shell(programs, workspace, 'echo a > made && mkdir d && mv made d/ && echo b > /tmp/b')
    assert.equal(exitCode, 0)
    assert.equal(await readFile(join(workspace, 'd', 'made'), 'utf8'), 'a\n')
    assert.equal((await stat(join(workspace, 'd', 'made'))).uid, process.geteuid?.())
    const second = await shell(programs, workspace, 'ls /tmp; echo x > /made; echo y > /usr/made')
    assert.ok(!second.out.split('\n').includes('b'))
    assert.match(second.err, /\/made.*\n.*\/usr\/made/)
  })

  test('a file that only its owner may read can be read where it is granted', async () => {
    const { workspace } = await newStage()
    await writeFile(join(workspace, 'mine'), 'x', { mode: 0o600 })
    assert.equal((await shell(programs, workspace, 'cat mine')).out, 'x')
  })

  test('a read-only folder inside a writable one stays read-only, chmod included', async () => {
    const { workspace } = await newStage()
    await mkdir(join(workspace, 'kept'))
    await writeFile(join(workspace, 'kept', 'f'), 'x', { mode: 0o644 })
    const yaml = 'filesystem_policy: { include_workdir: true, read_only: [/usr, /bin, /lib, /lib64, ./kept] }'
    const { err } = await shell(
      yaml,
      workspace,
      'echo y > kept/f; chmod 600 kept/f; mv kept away; rm -r kept; echo z > free',
    )
    assert.equal(await readFile(join(workspace, 'kept', 'f'), 'utf8'), 'x')
    assert.equal((await stat(join(workspace, 'kept', 'f'))).mode & 0o777, 0o644)
    assert.equal(await readFile(join(workspace, 'free'), 'utf8'), 'z\n')
    assert.equal(err.trim().split('\n').length, 4)
  })

  test('a folder that leads to a read-only one cannot be renamed, nor removed, and is written as before', async () => {
    const { workspace } = await newStage()
    await mkdir(join(workspace, 'a', 'b', 'kept'), { recursive: true })
    const yaml = 'filesystem_policy: { include_workdir: true, read_only: [/usr, /bin, /lib, /lib64, ./a/b/kept] }'
    const script =
      'mv a away || mv a/b a/away || mv a/b/kept a/b/away || rmdir a/b/kept; echo x > a/b/free && mv a/b/free a/b/moved'
    const { exitCode, err } = await shell(yaml, workspace, script)
    assert.equal(exitCode, 0, err)
    assert.equal(err.trim().split('\n').length, 4)
    assert.deepEqual((await readdir(join(workspace, 'a', 'b'))).sort(), ['kept', 'moved'])
    assert.deepEqual(await readdir(workspace), ['a'])
  })

  test('a file system of the kernel is refused under whatever name it is mounted', async () => {
    const { workspace } = await newStage()
    const mounted = join(workspace, 'mounted')
    await mkdir(mounted)
    const fixture = join(import.meta.dirname, 'grant-of.js')
    const unshare = process.geteuid?.() === 0 ? ['-m'] : ['-Urm']
    const script = 'mount --rbind /proc "$1" && exec "$2" "$3" "$1"'
    const { stdout, stderr } = spawnSync('unshare', [
      ...unshare,
      'sh',
      '-c',
      script,
      'sh',
      mounted,
      process.execPath,
      fixture,
    ])
    assert.match(stdout.toString(), /^SANDBOX_FAILED .*mounted is the kernel's/, stderr.toString())
  })

  test('a grant that turns into a link between decision and launch is refused', async () => {
    const { workspace, folder } = await newStage()
    await mkdir(join(workspace, 'data'))
    const yaml = 'filesystem_policy: { read_only: [/usr, /bin, /lib, /lib64, ./data] }'
    const decided = await plan(yaml, workspace, { program: '/bin/true', args: [] })
    await rm(join(workspace, 'data'), { recursive: true })
    await symlink(folder, join(workspace, 'data'))
    await assert.rejects(
      launch(decided, { pool }),
      (error) => error instanceof ClawmeshError && error.code === 'DENIED' && error.data.stage === 'changed',
    )
  })

  test('a program that is another all the time is executed only while it is the one that was decided on', async () => {
    const { workspace, folder } = await newStage()
    const [tool, other] = [join(folder, 'tool'), join(folder, 'other')]
    await writeFile(tool, '#!/bin/sh\necho decided on\n', { mode: 0o755 })
    await writeFile(other, '#!/bin/sh\necho other\n', { mode: 0o755 })
    const { dev, ino, size, ctimeNs } = await lstat(tool, { bigint: true })
    const decided = await plan(programs, workspace, { program: tool, args: [] })
    const started = (identity: Identity) => {
      const mounts = decided.mounts.map((mount) => (mount.target === tool ? { ...mount, identity } : mount))
      return launch({ ...decided, mounts }, { pool }).then(
        ({ stdout }) => stdout.toString(),
        (error) => ClawmeshError.from(error).code,
      )
    }
    const identity = { device: dev, inode: ino }
    const written = { bytes: size, changedNs: ctimeNs }
    assert.equal(await started({ ...identity, unchanged: written }), 'decided on\n')
    for (const unchanged of [
      { ...written, bytes: size + 1n },
      { ...written, changedNs: ctimeNs - 1n },
    ])
      assert.equal(await started({ ...identity, unchanged }), 'DENIED')
    let racing = true
    const race = async () => {
      while (racing) {
        await rename(tool, `${tool}.away`)
        await rename(other, tool)
        await setImmediate()
        await rename(tool, other)
        await rename(`${tool}.away`, tool)
        await setImmediate()
      }
    }
    const raced = race()
    const ends = new Set<string>()
    for (let round = 0; round < 300 && (round < 20 || ends.size < 2); round += 1) ends.add(await started(identity))
    racing = false
    await raced
    assert.deepEqual([...ends].sort(), ['DENIED', 'decided on\n'])
  })

  test('a program that is not there is a failure of the launch, and says so', async () => {
    const { workspace } = await newStage()
    await assert.rejects(
      run(programs, workspace, ['/usr/bin/there-is-no-such-program']),
      (error) =>
        error instanceof ClawmeshError && error.code === 'SANDBOX_FAILED' && /exec.*No such file/.test(error.message),
    )
  })

  test('a program that is not granted cannot be executed', async () => {
    const { workspace } = await newStage()
    await writeFile(join(workspace, 'script'), '#!/bin/sh\n', { mode: 0o755 })
    const { exitCode, err } = await shell(programs, workspace, './script')
    assert.equal(exitCode, 126)
    assert.match(err, /denied/i)
  })

  test('an abort ends the action and all that it started', async () => {
    const { workspace } = await newStage()
    const controller = new AbortController()
    const running = shell(programs, workspace, 'sleep 60 & setsid sleep 60 & echo up > up; wait', {
      signal: controller.signal,
    })
    await until(async () => (await readdir(workspace)).includes('up'), 'the action did not start')
    controller.abort()
    const { killed, exitCode, signal, timedOut } = await running
    assert.deepEqual(
      { killed, exitCode, signal, timedOut },
      { killed: true, exitCode: null, signal: null, timedOut: false },
    )
  })

  test('an abort before the start starts nothing', async () => {
    const { workspace } = await newStage()
    await assert.rejects(
      shell(programs, workspace, 'echo made > made', { signal: AbortSignal.abort() }),
      (error) => error instanceof ClawmeshError && error.code === 'CANCELLED',
    )
    assert.deepEqual(await readdir(workspace), [])
  })

  test('a daemon does not outlive the action', async () => {
    const { workspace } = await newStage()
    // It holds standard output: the launch could not settle while it lived.
    const { exitCode, wallMs } = await shell(programs, workspace, 'setsid sh -c "sleep 60 & sleep 60" & exit 0')
    assert.equal(exitCode, 0)
    assert.ok(wallMs < 20_000)
  })

  test('many at once do not disturb one another', async () => {
    const { workspace } = await newStage()
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, index) => shell(programs, workspace, `echo ${index}`)),
    )
    assert.deepEqual(
      outcomes.map(({ out }) => Number(out)),
      [...outcomes.keys()],
    )
  })
})

describe('a launch that is stopped from outside', () => {
  for (const who of ['action', 'launcher'] as const)
    test(`the ${who}: its time is over all the same, and that is told`, async () => {
      const { workspace } = await newStage()
      const running = shell(`${programs}\nlimits: { wall_ms: 3000 }`, workspace, `: stopped-${who}; sleep 60; :`)
      const action = await descendant(`stopped-${who}`)
      // The launcher is the parent of process 1, which is the parent of the action.
      process.kill(who === 'action' ? action : await parentOf(await parentOf(action)), 'SIGSTOP')
      const { timedOut, stopped, exitCode, signal, killed } = await running
      assert.deepEqual(
        { timedOut, stopped, exitCode, signal, killed },
        { timedOut: true, stopped: true, exitCode: null, signal: null, killed: false },
      )
    })

  test('one that goes on again ends as it would have', async () => {
    const { workspace } = await newStage()
    const running = shell(programs, workspace, ': goes-on-again; until [ -e go ]; do sleep 0.05; done; exit 7')
    const pid = await descendant('goes-on-again')
    process.kill(pid, 'SIGSTOP')
    process.kill(pid, 'SIGCONT')
    await writeFile(join(workspace, 'go'), '')
    const { exitCode, timedOut } = await running
    assert.deepEqual({ exitCode, timedOut }, { exitCode: 7, timedOut: false })
  })
})

describe('nothing is left', () => {
  const cases = [
    ['parent', 'sleeping-action'],
    ['launcher', 'sleeping-action'],
    ['parent', 'waiting-action'],
  ] as const
  for (const [victim, fixture] of cases)
    test(`of a ${fixture} when the ${victim} is killed with -9`, async () => {
      const { workspace } = await newStage('/var/tmp')
      const mark = `${fixture.slice(0, 5)}-${process.pid}-${victim}`
      const parent = spawn(process.execPath, [join(import.meta.dirname, `${fixture}.js`), workspace, mark], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await started(parent)
      const before = await processesNamed(mark)
      assert.ok(before.length >= 2, 'the action is running')
      if (victim === 'parent') parent.kill('SIGKILL')
      else process.kill(await launcherOf(parent.pid ?? 0), 'SIGKILL')
      await until(async () => (await processesNamed(mark)).length === 0, 'the action is still there')
      parent.kill('SIGKILL')
    })
})

/** Looks every few milliseconds, for at most half a minute or so. */
async function until(holds: () => Promise<boolean>, otherwise: string): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    if (tries === 3000) assert.fail(otherwise)
    await new Promise((soon) => setTimeout(soon, 10))
  }
}

/** The fixture's first line says that its action runs. */
async function started(parent: ChildProcess): Promise<void> {
  assert.ok(parent.stdout)
  for await (const line of createInterface(parent.stdout)) if (line === 'running') return
  assert.fail('the fixture did not start its action')
}

async function processesNamed(mark: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of await readdir('/proc')) {
    const command = /^\d+$/.test(pid) ? await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') : ''
    // The fixture itself has the mark among its arguments too.
    if (command.includes(mark) && !command.includes('-action.js')) found.push(pid)
  }
  return found
}

async function launcherOf(parent: number): Promise<number> {
  const children = (await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8')).trim().split(' ').map(Number)
  for (const child of children) {
    const command = await readFile(`/proc/${child}/cmdline`, 'utf8')
    if (command.startsWith(launcherPath)) return child
  }
  return assert.fail(`no launcher among ${children} (${await readlink(`/proc/${parent}/exe`)})`)
}
