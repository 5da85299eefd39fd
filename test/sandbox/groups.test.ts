/** Control groups of actions, where this machine lets us have some: of the kernel's own, made for these tests and removed by what made them. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { ClawmeshError } from '../../policies/errors.js'
import {
  type Controller,
  closeGroups,
  groupsInWords,
  groupWords,
  hierarchiesOf,
  keptPromise,
  openGroups,
} from '../../sandbox/groups.js'
import { Pool } from '../../sandbox/pool.js'
import { descendant } from './descendant.js'
import { newStage, programs, shell } from './stage.js'

const found = await openGroups()
await closeGroups(found)
const without = (...needed: Controller[]) =>
  needed.some((each) => found[each] === undefined) && `${groupsInWords(found)}, on this machine`
const perl = !existsSync('/usr/bin/perl') && 'there is no Perl here'

/** The folders that this process has made for pools, which hold the groups of workers. */
const own = (above: string | undefined) =>
  above === undefined ? [] : readdirSync(dirname(above)).filter((name) => name.includes(`-${process.pid}-`))

function newPool(options: ConstructorParameters<typeof Pool>[0] = {}) {
  const pool = new Pool({ idle: 0, ...options })
  after(() => pool.close())
  return pool
}

async function until(holds: () => boolean, otherwise: string): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries === 3000) assert.fail(otherwise)
    await new Promise((soon) => setTimeout(soon, 10))
  }
}

const limited = (limits: string) => `${programs}\nlimits: { wall_ms: 20000, ${limits} }`

describe('where groups can be had', () => {
  const first = `25 24 0:22 / /sys/fs/cgroup/pids rw shared:9 - cgroup cgroup rw,pids
26 24 0:23 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
27 24 0:24 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw`

  test('of the first version: in each hierarchy, at its top', () => {
    const hierarchies = hierarchiesOf(first, '8:pids:/\n4:memory:/jobs/1\n0::/\n')
    assert.deepEqual(hierarchies, [
      { version: 1, controllers: ['pids'], group: '/sys/fs/cgroup/pids', isTop: true },
      { version: 1, controllers: ['memory'], group: '/sys/fs/cgroup/memory/jobs/1', isTop: false },
      { version: 2, controllers: [], group: '/sys/fs/cgroup/unified', isTop: true },
    ])
  })

  test('not in a hierarchy that shows another part than the one we are in', () => {
    const container = '25 24 0:22 /docker/1 /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids'
    assert.deepEqual(hierarchiesOf(container, '8:pids:/docker/1\n'), [])
    assert.deepEqual(hierarchiesOf(first, '8:pids:/../2\n'), [])
    assert.deepEqual(hierarchiesOf('', ''), [])
  })
})

describe('an action in a group', () => {
  test('is counted as a whole while it runs, and nothing is left after', { skip: without('pids') }, async () => {
    const { workspace } = await newStage()
    const controller = new AbortController()
    const pool = newPool({ idle: 1, signal: controller.signal })
    const yaml = limited('processes: 12')
    const running = shell(yaml, workspace, ': in-a-group; sleep 60; :', { pool })
    const action = await descendant('in-a-group')
    const [parent = ''] = own(found.pids)
    const folder = join(dirname(found.pids ?? ''), parent)
    const numbers = () => readdirSync(folder).filter((name) => /^\d+$/.test(name))
    const inside = numbers().find((each) =>
      readFileSync(join(folder, each, 'cgroup.procs'), 'utf8')
        .split('\n')
        .includes(String(action)),
    )
    assert.ok(inside, 'its processes are in a group')
    assert.equal(readFileSync(join(folder, inside, 'pids.max'), 'utf8'), '13\n')
    process.kill(action, 'SIGKILL')
    assert.equal((await running).signal, 9)
    await until(() => !existsSync(join(folder, inside)), 'the group of an action that has ended was left')
    assert.equal((await shell(yaml, workspace, 'echo again', { pool })).out, 'again\n')
    controller.abort()
    await until(() => own(found.pids).length === 0 && own(found.memory).length === 0, 'groups were left')
  })

  test('that forks without end is held by its group, not by its own limits alone', {
    skip: without('pids'),
  }, async () => {
    const { workspace } = await newStage()
    const pool = newPool()
    await shell(programs, workspace, ':', { pool })
    // Ours, and above the groups of all its actions: less than the action itself is limited to.
    const [parent = ''] = own(found.pids)
    writeFileSync(join(dirname(found.pids ?? ''), parent, 'pids.max'), '9')
    const bomb = 'i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i + 1)); done; echo all'
    const { out, err } = await shell(limited('processes: 60'), workspace, bomb, { pool })
    assert.match(err, /fork|Resource/i)
    assert.equal(out, '')
    const free = await shell(limited('processes: 60'), workspace, `${bomb.replace('5', '0.1')}; wait`, {
      pool: newPool({ grouped: false }),
    })
    assert.equal(free.out, 'all\n', free.err)
    pool.close()
  })

  test('does not run where its group cannot be made', { skip: without('pids') }, async () => {
    const { workspace } = await newStage()
    const before = new Set(own(found.pids))
    const pool = newPool()
    await shell(programs, workspace, ':', { pool })
    const [parent = ''] = own(found.pids).filter((name) => !before.has(name))
    const folder = join(dirname(found.pids ?? ''), parent)
    await until(() => readdirSync(folder).every((name) => !/^\d+$/.test(name)), 'the group of its worker was left')
    rmdirSync(folder)
    await assert.rejects(
      shell(programs, workspace, 'echo ran > ran', { pool }),
      (error) => error instanceof ClawmeshError && error.code === 'SANDBOX_FAILED' && /group/.test(error.message),
    )
    assert.deepEqual(readdirSync(workspace), [])
    pool.close()
  })

  test('that has memory which no process has is ended', { skip: without('memory') || perl }, async () => {
    const { workspace } = await newStage()
    // What waits in the buffers of sockets belongs to the kernel.
    const hoard = `use Socket; for (1 .. 10) { next if fork; for (1 .. 100) { socketpair(my $r, my $w, AF_UNIX, SOCK_STREAM, 0) or last;
      push @kept, $r, $w; $w->blocking(0); syswrite($w, "x" x 200000) } sleep 2; exit } 1 while wait > 0; print "hoarded"`
    const yaml = limited('memory_total_mb: 64, processes: 20')
    const script = `perl -MIO::Handle -e '${hoard}'`
    const held = await shell(yaml, workspace, script, { pool: newPool() })
    assert.deepEqual([held.overMemory, held.out], [true, ''], held.err)
    const free = await shell(yaml, workspace, script, { pool: newPool({ grouped: false }) })
    assert.deepEqual([free.overMemory, free.out], [false, 'hoarded'], free.err)
  })
})

describe('groups that were left', () => {
  test('by a process that is gone are removed at the next start, those of one that lives are not', {
    skip: without('pids'),
  }, async () => {
    const other = spawn('sleep', ['60'])
    const pid = other.pid ?? 0
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    const namespace = readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')
    const folder = join(dirname(found.pids ?? ''), `clawmesh-${namespace}-${pid}-${start}-1`)
    mkdirSync(folder)
    mkdirSync(join(folder, '7'))
    await closeGroups(await openGroups())
    assert.ok(existsSync(join(folder, '7')), basename(folder))
    other.kill('SIGKILL')
    await once(other, 'exit')
    await closeGroups(await openGroups())
    assert.ok(!existsSync(folder), 'it is still there')
  })

  test('and are opened by several at a time are each one’s own', { skip: without('pids') }, async () => {
    const opened = await Promise.all([1, 2, 3].map(() => openGroups()))
    const folders = opened.map(({ pids = '' }) => pids)
    assert.equal(new Set(folders).size, 3)
    assert.deepEqual(folders.map(existsSync), [true, true, true])
    await Promise.all(opened.map(closeGroups))
  })

  test('and can be made no more keep everything from running', () => {
    assert.deepEqual(keptPromise([], { pids: '/a' }), ['pids'])
    assert.deepEqual(keptPromise(['pids'], { pids: '/a', memory: '/a' }), ['pids', 'memory'])
    assert.throws(
      () => keptPromise(['pids', 'memory'], { pids: '/a' }),
      (error) => error instanceof ClawmeshError && error.code === 'SANDBOX_FAILED' && /memory/.test(error.message),
    )
  })

  test('and that are not ours to begin with are not asked for', () => {
    assert.deepEqual(groupWords({ pids: '/a', memory: '/a' }), ['pids', '/a', 'memory', '/a'])
    assert.deepEqual(groupWords({}), [])
    assert.match(groupsInWords({}), /no control group/)
  })
})
