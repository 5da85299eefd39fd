/** Where a machine gives no namespaces and a person has named the mode without them: one process, real ones, in namespaces of a test that allow no further ones. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { chmod, copyFile, mkdir, realpath, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { installation } from '../../mesh/installation.js'
import { parseProfile } from '../../policies/profile.js'
import { sandboxAvailability } from '../../sandbox/availability.js'
import { launch } from '../../sandbox/launch.js'
import { runTool } from '../../sandbox/run.js'
import { RunAction, sandboxName, sandboxService } from '../../sandbox/service.js'
import { auditEvents } from '../kit/events.js'
import { eventually } from '../kit/eventually.js'
import { memoryMesh } from '../kit/mesh.js'
import { descendant, parentOf } from './descendant.js'
import { newStage, plan, programs, run, shell } from './stage.js'

/** Whether an action that root starts, which has another id, may come to a file: without namespaces its folders are those of the machine. */
function isOpenToAll(path: string): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
    if (folder === '/') return true
  }
}
const cannotRunTools =
  process.getuid?.() === 0 &&
  ![process.execPath, join(installation, 'package.json')].every(isOpenToAll) &&
  'root runs this from a folder that others may not enter'

/** Whoever runs the tests: root's actions have another id, which needs leave of the file system here. */
async function stage() {
  const made = await newStage()
  await Promise.all([chmod(made.folder, 0o755), chmod(made.workspace, 0o777)])
  return made
}

describe('without namespaces an action', { concurrency: 2 }, () => {
  test('is one process, which executes nothing else, with what was granted and no socket', async () => {
    const { workspace, target } = await stage()
    const { out } = await shell(programs, workspace, 'echo kept > made; read line < made; echo $line', {
      degraded: true,
    })
    assert.equal(out, 'kept\n')
    const tries = {
      fork: 'defined fork',
      exec: 'exec("/usr/bin/true") || 0',
      read: `open my $f, "<", "${target}"`,
      chmod: 'chmod 0600, "made"',
      times: 'utime 0, 0, "made"',
      signal: 'kill 0, getppid',
      owner: 'fcntl STDIN, 8, getppid',
      socket: 'socket my $s, AF_INET, SOCK_STREAM, 0',
      pair: 'socketpair my $a, my $b, AF_UNIX, SOCK_STREAM, 0',
    }
    const script = Object.entries(tries).map(([name, each]) => `print "${name} " if (${each});`)
    const action = { program: '/usr/bin/perl', args: ['-e', `use Socket; ${script.join(' ')} print "end"`] }
    const { stdout } = await launch(await plan(programs, workspace, action), { degraded: true })
    assert.equal(stdout.toString(), 'end')
  })

  test('need not read its input', async () => {
    const { workspace } = await stage()
    // It is still there when its input can go no further.
    const script = 'close STDIN; print "unread"; select undef, undef, undef, 0.1'
    const options = { degraded: true, stdin: 'x'.repeat(1 << 20) }
    const { stdout } = await run(programs, workspace, ['/usr/bin/perl', '-e', script], options)
    assert.equal(stdout.toString(), 'unread')
  })

  test('has no group of the root that runs the node', {
    skip: process.getuid?.() !== 0 && 'only root has such groups, and can have another for a moment',
  }, async () => {
    const { workspace } = await stage()
    const groups = process.getgroups?.() ?? []
    process.setgroups?.([...groups, 4])
    try {
      const { stdout } = await run(programs, workspace, ['/usr/bin/id', '-G'], { degraded: true })
      assert.match(stdout.toString(), /^[1-9]\d*\n$/)
    } finally {
      process.setgroups?.(groups)
    }
  })

  test('has no less in a place than around it: such a policy is refused', async () => {
    const { workspace } = await stage()
    await writeFile(join(workspace, 'kept'), '')
    const policy = 'filesystem_policy: { include_workdir: true, read_only: [./kept, /usr, /bin, /lib, /lib64] }'
    await assert.rejects(shell(policy, workspace, 'true', { degraded: true }), /kept cannot have less than/)
  })

  test('is not held to a list of what may be executed: such a policy is refused too', async () => {
    const { workspace } = await stage()
    const profile = parseProfile(`${programs}\nexec: [/usr/bin/dash, /usr/lib, /lib, /lib64]`)
    const loaded = 'exec /lib64/ld-linux-x86-64.so.2 /usr/bin/env'
    await assert.rejects(
      runTool({ tool: 'shell', args: { command: loaded }, workspace, profile, degraded: true }),
      /cannot list what may be executed/,
    )
  })

  test('dies with its worker, and when its time is over', async () => {
    const { workspace } = await stage()
    const waiting = (wallMs: number, seconds: number) => {
      const command = ['/usr/bin/sleep', `${seconds}`]
      return run(`${programs}\nlimits: { wall_ms: ${wallMs} }`, workspace, command, { degraded: true })
    }
    const ended = waiting(60_000, 3599).catch(String)
    const action = await descendant('3599')
    const processOne = await parentOf(action)
    process.kill(await parentOf(processOne), 'SIGKILL')
    assert.match(String(await ended), /was ended from outside/)
    await eventually(async () => assert.deepEqual([await parentOf(action), await parentOf(processOne)], [0, 0]))
    assert.ok((await waiting(300, 3598)).timedOut)
  })

  test('says so in what came of it, and in each of its events', { skip: cannotRunTools }, async () => {
    const { workspace } = await stage()
    await writeFile(join(workspace, 'notes.txt'), 'one\ntwo\n')
    const mesh = await memoryMesh()
    try {
      const node = await mesh.join('sandboxed', { roles: ['sandbox'] })
      const profile = parseProfile('filesystem_policy: { read_only: [.] }')
      await node.spawn(sandboxService(node, { workspace, profile, degraded: true }), { as: sandboxName('sandboxed') })
      const asker = await mesh.join('asker', { roles: ['supervisor'] })
      const ask = (path: string) =>
        asker.ref(sandboxName('sandboxed')).ask(RunAction, { tool: 'count_lines', args: { path } })
      const [done, denied] = [await ask('notes.txt'), await ask('../target')]
      assert.ok(done.status === 'done' && done.result.summary.endsWith('(degraded sandbox)'), JSON.stringify(done))
      assert.ok(denied.status === 'denied' && denied.reason.endsWith('(degraded sandbox)'))
      const events = (await auditEvents(mesh)).filter(({ kind }) => kind.startsWith('action.'))
      assert.ok(events.length > 0 && events.every(({ facts }) => facts['sandbox'] === 'degraded'))
    } finally {
      await mesh.close()
    }
  })

  test('is had only where it is named and namespaces are not to be had, and only if what is left holds', {
    skip: !existsSync('/usr/bin/unshare') && 'there is no unshare here',
  }, async () => {
    const look = (mayDegrade: boolean) =>
      `import { sandboxAvailability } from '${installation}/dist/sandbox/availability.js'; console.log(JSON.stringify(await sandboxAvailability({ mayDegrade: ${mayDegrade} })))`
    const without = 'echo 1 > /proc/sys/user/max_user_namespaces; exec unshare -U --map-user=1000 --map-group=1000 "$@"'
    const found = async (mayDegrade: boolean) => {
      const closed = ['unshare', '-U', '-r', 'sh', '-c', without, 'sh']
      const command = [...closed, process.execPath, '--input-type=module', '--eval', look(mayDegrade)]
      return JSON.parse((await promisify(execFile)(command[0] ?? '', command.slice(1))).stdout)
    }
    const [unnamed, named] = await Promise.all([found(false), found(true)])
    const here = await sandboxAvailability({ mayDegrade: true })
    assert.ok(here.available && !here.degraded)
    assert.equal(unnamed.available, false)
    assert.match(unnamed.hint, /CLAWMESH_SANDBOX=degraded/)
    assert.deepEqual([named.available, named.degraded, named.connects], [true, true, false], JSON.stringify(named))
    assert.match(named.notes[0], /^the sandbox is degraded/)
  })

  test('is not had by root with Node in a folder that others may not enter, which is said before any action', {
    skip: process.getuid?.() !== 0 && 'only root has actions of another id',
  }, async () => {
    const { folder } = await newStage('/var/tmp')
    await chmod(folder, 0o755)
    const [machine, closed] = [join(folder, 'machine'), join(folder, 'closed')]
    await Promise.all([machine, closed].map((each) => mkdir(each)))
    const look = `import { sandboxAvailability } from '${installation}/dist/sandbox/availability.js'; console.log(JSON.stringify(await sandboxAvailability({ mayDegrade: true })))`
    // The kernel gives no user namespace below another root. The mounts are those of this process alone.
    const script =
      'mount --rbind / "$1" && PATH="$PATH:/usr/sbin:/sbin" && exec chroot "$1" "$2" --input-type=module --eval "$3"'
    const found = async (node: string) => {
      const words = ['-m', '--propagation', 'private', 'sh', '-c', script, 'sh', machine, node, look]
      return JSON.parse((await promisify(execFile)('unshare', words)).stdout)
    }
    const node = join(closed, 'node')
    await copyFile(await realpath(process.execPath), node)
    await chmod(closed, 0o700)
    const [here, { available, reason, hint }] = await Promise.all([found(process.execPath), found(node)])
    assert.deepEqual([here.available, available], [!cannotRunTools, false])
    if (!cannotRunTools) assert.match(reason, new RegExp(`nor without namespaces: ${closed} is closed to the id`))
    assert.match(hint, /^Put Node and clawmesh where everybody may enter/)
  })
})
