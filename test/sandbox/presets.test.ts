/** The presets for callers who launch programs of their own, with the programs that they are for. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readdir, readFile, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { ClawmeshError } from '../../policies/errors.js'
import { launch } from '../../sandbox/launch.js'
import { findPlaces } from '../../sandbox/place.js'
import { grantedPaths, planLaunch } from '../../sandbox/plan.js'
import { loadProfile } from '../../sandbox/preset.js'
import { newStage } from './stage.js'

const without = spawnSync('git', ['--version']).status !== 0 && 'there is no git here'

async function underPreset(preset: string, workspace: string, script: string) {
  const profile = await loadProfile(preset)
  const action = { program: await realpath('/bin/sh'), args: ['-c', script] }
  const writable = profile.write.map((path) => (path === '.' ? workspace : path))
  const places = await findPlaces(grantedPaths(profile, workspace, action), writable)
  const outcome = await launch(planLaunch(profile, workspace, action, places))
  return { ...outcome, out: outcome.stdout.toString(), err: outcome.stderr.toString() }
}

async function repository(): Promise<string> {
  const { workspace } = await newStage()
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=Anna', '-c', 'user.email=anna@example.com', ...args], { cwd: workspace })
  git('init', '-q', '-b', 'main')
  await writeFile(join(workspace, 'notes.txt'), 'one\n')
  git('add', '.')
  git('commit', '-q', '-m', 'First notes')
  await writeFile(join(workspace, 'notes.txt'), 'one\ntwo\n')
  return workspace
}

describe('presets for programs', { skip: without, concurrency: 2 }, () => {
  test('git looks into a repository and changes nothing', async () => {
    const workspace = await repository()
    const { out, err, exitCode } = await underPreset(
      'git',
      workspace,
      'git log --format=%s && git status --short && git diff --stat && git blame -s notes.txt | wc -l',
    )
    assert.equal(exitCode, 0, err)
    assert.match(out, /^First notes\n M notes\.txt\n notes\.txt \| 1 \+\n[\s\S]*\n2\n$/)
    const commit = await underPreset('git', workspace, 'git -c user.name=a -c user.email=a commit -qam no')
    assert.notEqual(commit.exitCode, 0)
    assert.match(commit.err, /read-only/i)
  })

  test('code-workspace writes the workspace and nothing that is git’s', async () => {
    const workspace = await repository()
    const before = await readdir(join(workspace, '.git'))
    const { err, exitCode } = await underPreset(
      'code-workspace',
      workspace,
      'echo three >> notes.txt; echo ../evil > .git/commondir; echo x > .git/hooks/pre-commit; echo x >> .git/config; mv .git away; git diff --quiet',
    )
    assert.equal(exitCode, 1, 'git sees the change')
    assert.equal(err.trim().split('\n').length, 4, err)
    assert.equal(await readFile(join(workspace, 'notes.txt'), 'utf8'), 'one\ntwo\nthree\n')
    assert.deepEqual(await readdir(join(workspace, '.git')), before)
  })

  test('code-workspace runs nothing where an action could make a repository', async () => {
    const { workspace } = await newStage()
    await assert.rejects(
      underPreset('code-workspace', workspace, 'true'),
      (error) =>
        error instanceof ClawmeshError && error.code === 'DENIED' && /\.git read-only inside/.test(error.message),
    )
  })
})
