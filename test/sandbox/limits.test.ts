import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { chmod, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { callGroups, parseProfile } from '../../policies/profile.js'
import { launch } from '../../sandbox/launch.js'
import { findPlaces } from '../../sandbox/place.js'
import { grantedPaths, planLaunch } from '../../sandbox/plan.js'
import { Pool } from '../../sandbox/pool.js'
import { startResident } from '../../sandbox/resident.js'
import { noWasm, toolRuntime } from '../../sandbox/tools/runtime.js'
import { newStage, plan, pool, programs, shell } from './stage.js'

const limited = (limits: string) => `${programs}\nlimits: { ${limits} }`

describe('limits', { concurrency: 2 }, () => {
  test('wall time ends the whole tree', async () => {
    const { workspace } = await newStage()
    const outcome = await shell(limited('wall_ms: 300'), workspace, 'sleep 60 & sleep 60')
    assert.deepEqual([outcome.timedOut, outcome.exitCode, outcome.signal, outcome.killed], [true, null, null, false])
    assert.ok(outcome.wallMs >= 300 && outcome.wallMs < 30_000, `${outcome.wallMs} ms`)
  })

  test('wall time that is over at once ends what has hardly begun', async () => {
    const { workspace } = await newStage()
    // Many at once, so that some of them are late in settling under their own ids.
    const launches = Array.from({ length: 60 }, () =>
      shell(limited('wall_ms: 1'), workspace, 'sleep 1; echo late > late'),
    )
    for (const { timedOut, exitCode } of await Promise.all(launches))
      assert.deepEqual([timedOut, exitCode], [true, null])
    assert.deepEqual(await readdir(workspace), [])
  })

  test('processor time is a signal', async () => {
    const { workspace } = await newStage()
    const { signal } = await shell(limited('cpu_seconds: 1'), workspace, 'while :; do :; done')
    assert.ok(signal === 9 || signal === 24, `signal ${signal}`)
  })

  test('a fork bomb stays small and ends', async () => {
    const { workspace } = await newStage()
    const outcome = await shell(
      limited('processes: 20, wall_ms: 1500'),
      workspace,
      'bomb() { bomb | bomb & }; bomb; sleep 60',
    )
    assert.match(outcome.err, /fork|Resource/i)
    assert.ok(outcome.timedOut || outcome.exitCode !== null)
  })

  test('two actions never take each other’s processes', async () => {
    const { workspace } = await newStage()
    const script = 'for i in 1 2 3 4 5 6; do sleep 0.2 & done; wait; echo done'
    const both = await Promise.all([1, 2, 3].map(() => shell(limited('processes: 8'), workspace, script)))
    assert.deepEqual(
      both.map(({ out }) => out),
      ['done\n', 'done\n', 'done\n'],
    )
  })

  test('many processes that each have little memory end where they have too much together, and a fork of much does not', {
    skip: !existsSync('/usr/bin/perl') && 'there is no Perl here',
  }, async () => {
    const { workspace } = await newStage()
    const limits = limited('memory_mb: 128, memory_total_mb: 200, processes: 12, wall_ms: 20000')
    const many = `for i in 1 2 3 4 5 6; do perl -e '$x = "x" x 60e6; sleep 30' & done; wait`
    const { overMemory, timedOut, exitCode, killed } = await shell(limits, workspace, many)
    assert.deepEqual([overMemory, timedOut, exitCode, killed], [true, false, null, false])
    const fork = `perl -e '$x = "x" x 60e6; for (1 .. 6) { fork or sleep(1), exit } 1 while wait > 0; print "whole"'`
    const forked = await shell(limits, workspace, fork)
    assert.deepEqual([forked.overMemory, forked.out], [false, 'whole'], forked.err)
  })

  test('memory beyond the limit cannot be had', async () => {
    const { workspace } = await newStage()
    const script = 'const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1))'
    const profile = parseProfile('limits: { memory_mb: 256 }')
    const runtime = await toolRuntime({ needsSqlite: false })
    const action = { ...runtime, args: ['--jitless', ...noWasm, '-e', script] }
    const places = await findPlaces(grantedPaths(profile, workspace, action))
    const outcome = await launch(planLaunch(profile, workspace, action, places), { pool })
    assert.equal(outcome.timedOut, false)
    assert.notEqual(outcome.exitCode, 0)
    assert.ok(outcome.maxRssKb > 128 * 1024 && outcome.maxRssKb < 320 * 1024, `${outcome.maxRssKb} KiB`)
  })

  test('output is counted over both streams and cut, and its flood ended', async () => {
    const { folder, workspace } = await newStage()
    await chmod(folder, 0o755)
    await chmod(workspace, 0o777)
    const flood = 'while echo out; do echo errors >&2; done'
    const own = new Pool()
    for (const options of [{}, { pool: own }, { degraded: true }]) {
      const outcome = await shell(limited('output_bytes: 10000'), workspace, flood, options)
      const { truncated, timedOut, killed, exitCode, signal } = outcome
      assert.deepEqual([truncated, timedOut, killed, exitCode, signal], [true, false, false, null, null])
      assert.equal(outcome.stdout.length + outcome.stderr.length, 10_000)
    }
    own.close()
  })

  test('output of exactly the limit is not cut, and one byte more is, though its program has ended', async () => {
    const { workspace } = await newStage()
    const printed = async (bytes: number) => {
      const outcome = await shell(limited('output_bytes: 10000'), workspace, `head -c ${bytes} /usr/bin/env`)
      return [outcome.truncated, outcome.killed, outcome.stdout.length, outcome.exitCode]
    }
    assert.deepEqual(await printed(10_000), [false, false, 10_000, 0])
    assert.deepEqual(await printed(10_001), [true, false, 10_000, null])
  })

  test('what a resident program prints has no end', async () => {
    const { workspace } = await newStage()
    const action = { program: '/usr/bin/head', args: ['-c', '40000', '/usr/bin/env'] }
    const talks = await plan(limited('output_bytes: 1'), workspace, action)
    const resident = await startResident(talks, pool ? { pool } : {})
    const [printed, ended] = await Promise.all([buffer(resident.output), resident.ended])
    assert.deepEqual([printed.length, ended], [40_000, 'it ended with status 0'])
  })

  test('a file cannot grow past its limit, nor /tmp past its size', async () => {
    const { workspace } = await newStage()
    const outcome = await shell(
      limited('file_mb: 1, tmp_mb: 2'),
      workspace,
      'head -c 3000000 /dev/urandom > big; for i in 1 2 3; do head -c 1000000 /dev/urandom > /tmp/$i; done; cat big /tmp/? | wc -c',
    )
    assert.ok(Number(outcome.out) <= (1 + 2) * 1024 * 1024, outcome.out)
    assert.match(outcome.err, /No space|too large|exceeded/i)
  })

  test('what a policy takes away of the system calls fails, by its group', async () => {
    const { workspace } = await newStage()
    // By a descriptor too: fcntl's F_SETOWN, F_NOTIFY and F_SETLEASE.
    const control = (path: string, command: number, argument: string) =>
      `exec perl -e 'use Fcntl; sysopen(my $f, "${path}", O_RDONLY) or exit 0; fcntl($f, ${command}, ${argument}) or exit 1'`
    const does: [group: string, script: string][] = [
      ['processes', '(true)'],
      ['signals', 'kill -0 $$'],
      ['signals', control('file', 8, 'getppid()')],
      ['names', 'exec mkdir made'],
      ['modes', 'exec chmod 600 file'],
      ['times', 'exec touch -d @0 file'],
      ['watching', control('.', 1026, '1')],
      ['watching', control('file', 1024, '0')],
      ['sockets', `exec perl -e 'use Socket; socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or exit 1'`],
    ]
    await writeFile(join(workspace, 'file'), '')
    const ending = async (policy: string, script: string) => (await shell(policy, workspace, script)).exitCode
    for (const [group, script] of does) {
      const others = callGroups.filter((each) => each !== group).join(', ')
      await rm(join(workspace, 'made'), { recursive: true, force: true })
      assert.notEqual(await ending(`${programs}\nsyscalls: { deny: [${group}] }`, script), 0, `${group}: ${script}`)
      assert.equal(await ending(`${programs}\nsyscalls: { deny: [${others}] }`, script), 0, `${group}: ${script}`)
    }
  })

  test('open files run out', async () => {
    const { workspace } = await newStage()
    const { out } = await shell(limited('open_files: 32'), workspace, 'ulimit -n; ulimit -Hn; ulimit -c')
    assert.equal(out, '32\n32\n0\n')
  })
})
