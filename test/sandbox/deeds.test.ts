/** What a program executed and wrote is told, by the kernel's word and with the hash of what is there when it has ended. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { realpath, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parseProfile } from '../../policies/profile.js'
import { Deeds } from '../../sandbox/deeds.js'
import { runTool } from '../../sandbox/run.js'
import { openFlags } from '../../sandbox/seccomp/constants.js'
import { newStage, pool, programs, shell } from './stage.js'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

describe('the deeds of an action', { concurrency: 2 }, () => {
  test('are the programs that it executed and the files that it opened for writing', async () => {
    const { workspace } = await newStage()
    const deeds = new Deeds()
    const script = `echo one > one.txt; cat < one.txt > /dev/null; ln -s one.txt link; echo more >> link; : > /tmp/own
      echo gone > gone.txt; rm gone.txt; for i in 1 2 3; do env true $i; done`
    const { err, exitCode } = await shell(programs, workspace, script, { deeds })
    assert.equal(exitCode, 0, err)
    const { ran, wrote, more } = await deeds.facts()
    const named = (name: string) => ran.filter(({ args }) => args[0]?.endsWith(name))
    assert.deepEqual(
      ['sh', 'cat', 'ln', 'rm'].map((name) => named(name).map(({ times }) => times)),
      [[1], [1], [1], [1]],
    )
    assert.deepEqual(named('sh')[0], {
      program: await realpath('/bin/sh'),
      args: ['/bin/sh', '-c', script],
      times: 1,
    })
    // Each is told by what was executed then: env becomes another program, and both are.
    assert.deepEqual(
      named('true').map(({ args }) => args.join(' ')),
      ['true 1', 'true 2', 'true 3'],
    )
    assert.deepEqual(wrote, [
      { path: join(workspace, 'one.txt'), bytes: 9, sha256: sha256('one\nmore\n') },
      { path: join(workspace, 'gone.txt'), bytes: null, sha256: null },
    ])
    assert.equal(more, undefined)
  })

  test('tell of a file that had no name when it was written, by its folder', {
    skip: !existsSync('/usr/bin/perl') && 'there is no Perl here',
  }, async () => {
    const { workspace } = await newStage()
    const deeds = new Deeds()
    const nameless = 2 | openFlags[process.arch === 'x64' ? 'x64' : 'arm64'].O_TMPFILE
    await shell(programs, workspace, `perl -e 'sysopen(F, ".", ${nameless}, 0600) or die $!'`, { deeds })
    assert.deepEqual((await deeds.facts()).wrote, [{ path: workspace, bytes: null, sha256: null }])
  })

  test('have an end: what is too much is counted', async () => {
    const { workspace } = await newStage()
    const deeds = new Deeds()
    await shell(
      programs,
      workspace,
      'for i in $(seq 1 70); do : > $i; done; for i in $(seq 1 70); do env true $i; done',
      {
        deeds,
      },
    )
    const { ran, wrote, more } = await deeds.facts()
    assert.deepEqual([wrote.length, more?.wrote], [64, 6])
    assert.ok(ran.length === 64 && (more?.ran ?? 0) > 70, JSON.stringify(more))
  })

  test('of a tool of ours are the files that it says, and nothing is read through a link', async () => {
    const { workspace, target } = await newStage()
    const profile = parseProfile('filesystem_policy: { include_workdir: true }')
    const args = { path: 'note.txt', text: 'hello' }
    const outcome = await runTool({ tool: 'write_file', args, workspace, profile, pool })
    assert.ok(outcome.status === 'done')
    assert.deepEqual(outcome.deeds.ran, [])
    assert.deepEqual(outcome.deeds.wrote, [{ path: join(workspace, 'note.txt'), bytes: 5, sha256: sha256('hello') }])
    const deeds = new Deeds()
    await symlink(target, join(workspace, 'link'))
    deeds.wrote(join(workspace, 'link'))
    assert.deepEqual((await deeds.facts()).wrote, [{ path: join(workspace, 'link'), bytes: null, sha256: null }])
  })
})
