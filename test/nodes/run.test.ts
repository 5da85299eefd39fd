/** `clawmesh run` and `clawmesh tasks` on a mesh that is up. */
import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'
import { Machine } from './machine.js'

const workspace = join(installation, 'examples', 'ledger', 'workspace')
const answerOf = ({ stdout }: { stdout: string }) =>
  JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { ok: boolean; answer: string; task: string }

describe('a request to the mesh that runs', () => {
  const home = new Machine()
  before(async () => {
    await home.up('--workspace', workspace)
  })
  after(() => home.remove())

  it('is done, and its task can be looked at', async () => {
    const ended = await home.do('run', 'how many lines has q3/07-travel.csv', '--json')
    assert.equal(ended.status, 0, ended.stderr)
    const { ok, answer, task } = answerOf(ended)
    assert.ok(ok)
    assert.match(answer, /lines/)
    assert.match((await home.do('tasks', 'list')).stdout, new RegExp(`${task}.*done .*how many lines`))
    const shown = await home.do('tasks', 'show', task.slice(0, 8))
    assert.match(shown.stdout, /done +plan\n +done +part 1\n/)
  })

  it('is done beside another one', async () => {
    const both = await Promise.all(
      ['q3/07-travel.csv', 'q3/08-travel.csv'].map((file) => home.do('run', `what is the size of ${file}`, '--json')),
    )
    for (const ended of both) assert.ok(answerOf(ended).ok, ended.stderr)
  })

  it('ends with one clear error where it cannot be done', async () => {
    const lacking = await home.do('run', 'how many lines has q3/nothing.csv')
    assert.equal(lacking.status, 1)
    assert.equal((await home.do('run')).status, 2)
    const elsewhere = await home.do('run', 'how many lines has notes.txt', '--workspace', tmpdir())
    assert.equal(elsewhere.status, 2)
    assert.match(elsewhere.stderr, /The mesh works on .*, not on/)
    assert.match((await home.do('tasks', 'show', 'zzz')).stderr, /No task begins with "zzz"/)
    assert.match(lacking.stderr, /A tool failed: q3\/nothing\.csv does not exist/)
    const undone = await home.do('run', 'how many lines has q3/07-travel.csv. Sing me a song.')
    assert.equal(undone.status, 1, undone.stdout)
    assert.match(undone.stderr, /None of the tools does "Sing me a song/)
  })

  it('is forgotten when a person says so, and only once it has ended', async () => {
    const { tasks } = JSON.parse((await home.do('tasks', 'list', '--json')).stdout) as { tasks: { id: string }[] }
    assert.equal((await home.do('tasks', 'forget')).status, 2)
    assert.match((await home.do('tasks', 'forget', '--before', '1d')).stdout, /0 tasks are forgotten/)
    const [first] = tasks
    assert.equal((await home.do('tasks', 'forget', first?.id ?? '')).status, 0)
    const { stdout } = await home.do('tasks', 'list')
    assert.ok(!stdout.includes(first?.id ?? ''), stdout)
    assert.equal(stdout.trim().split('\n').length, tasks.length - 1)
  })

  it('is refused when no mesh runs, and its tasks can still be looked at', async () => {
    await home.stop()
    const refused = await home.do('run', 'how many lines has q3/07-travel.csv')
    assert.equal(refused.status, 4)
    assert.match(refused.stderr, /No mesh runs/)
    assert.match((await home.do('tasks', 'list')).stdout, / done .*\n.* failed /s)
    assert.equal((await home.do('audit', 'verify')).status, 0)
  })
})
