/** The commands that answer questions about a policy, as a person types them. */
import assert from 'node:assert/strict'
import { mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { runCommand } from '../../kit/command.js'
import { temporaryFolder } from '../../kit/mesh.js'

describe('clawmesh policy', () => {
  let folder: string
  let workspace: string

  before(() => {
    folder = temporaryFolder()
    workspace = join(folder, 'workspace')
    mkdirSync(workspace)
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('test holds every preset to its table', async () => {
    const { status, stdout } = await runCommand(['policy', 'test'])
    assert.equal(status, 0, stdout)
    const counts = [...stdout.matchAll(/^(\S+): (\d+) of (\d+) rows hold$/gm)]
    assert.ok(counts.length >= 5 && counts.every(([, , held, all]) => held === all), stdout)
  })

  it('test names file, line and reason of a row that does not hold', async () => {
    const policy = join(folder, 'own.yaml')
    const table = join(folder, 'own.test.yaml')
    writeFileSync(policy, 'filesystem_policy: { read_only: [.] }\n')
    writeFileSync(
      table,
      `workspace: /w\ncases:\n${'  - { read: /w/a, expect: allow }\n'.repeat(4)}  - { write: /w/a, expect: ask }\n`,
    )
    const { status, stdout } = await runCommand(['policy', 'test', policy])
    assert.equal(status, 1)
    assert.match(stdout, /own\.test\.yaml:7: write \/w\/a: expected ask, is deny: .*own\.yaml:1: .*for reading only/)
    assert.match(stdout, /4 of 5 rows hold/)
    rmSync(table)
    const without = await runCommand(['policy', 'test', policy])
    assert.equal(without.status, 2)
    assert.match(without.stderr, /has no truth table/)
  })

  it('explain says the answer and the line, and follows links as a run does', async () => {
    symlinkSync('/etc/passwd', join(workspace, 'innocent.txt'))
    const explain = (access: string, ...more: string[]) =>
      runCommand(['policy', 'explain', access, '--workspace', workspace, '--data', join(workspace, 'none'), ...more])
    const { stdout } = await explain('write sum.txt')
    assert.match(
      stdout,
      /^write \/.*\/workspace\/sum\.txt: ask \(in the workspace \/.*\/workspace\)\n {2}ask-first:\d+: ask\.1 lets writing \/ be asked for\n$/,
    )
    // What the policy keeps read-only is not there.
    const kept = await explain('read notes.txt', '--policy', 'code-workspace')
    assert.match(
      kept.stdout,
      /\n {2}but every action is refused here: The policy keeps .*\.git read-only .* Make it first/,
    )
    mkdirSync(join(workspace, '.git'))
    assert.doesNotMatch((await explain('read notes.txt', '--policy', 'code-workspace')).stdout, /refused here/)
    // Where a mesh has a workspace and a policy, those; wherever it is typed.
    const data = join(folder, 'data')
    mkdirSync(data)
    writeFileSync(join(data, 'offer.json'), JSON.stringify({ workspace, policy: 'none' }))
    const ours = await runCommand(['policy', 'explain', 'write sum.txt', '--data', data, '--json'], { cwd: folder })
    const { path, policy, answer, workspace: its } = JSON.parse(ours.lastLine)
    assert.deepEqual([path, policy, answer, its], [join(its, 'sum.txt'), 'none', 'deny', realpathSync(workspace)])
    const link = JSON.parse((await explain('read innocent.txt', '--policy', 'none', '--json')).lastLine)
    assert.deepEqual([link.path, link.answer], ['/etc/passwd', 'deny'])
    const hiding = join(folder, 'hiding.yaml')
    writeFileSync(hiding, 'filesystem_policy: { hidden: [./innocent.txt] }\nask: [{ read: / }]\n')
    assert.match((await explain('read /etc/passwd', '--policy', hiding)).stdout, /: deny .*\n {2}.* by a link too/)
    for (const wrong of ['', 'write', 'delete sum.txt']) {
      const { status, stderr } = await explain(wrong || ' ')
      assert.equal(status, 2, stderr)
      assert.match(stderr, /is not an access/)
    }
  })
})
