/** What was cut off is gone on with only if it would still be the answer. */
import assert from 'node:assert/strict'
import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { addressesOf } from '../../../mesh/address.js'
import type { MeshNode } from '../../../mesh/index.js'
import type { Task } from '../../../mesh/task/task.js'
import { openTasks, type Tasks } from '../../../mesh/task/tasks.js'
import { askedOf, takeUp } from '../../../nodes/agents/job/take-up.js'
import { memoryMesh, type TestMesh, temporaryFolder } from '../../kit/mesh.js'

describe('a request that was cut off', () => {
  let workspace = ''
  let tasks: Tasks
  let mesh: TestMesh
  let node: MeshNode
  let said: string[] = []
  const asked = (request = 'count', policy = 'p') => askedOf(request, { folder: workspace }, () => ['a.txt'], policy)
  const take = (what = asked(), by = node) => takeUp(by, tasks, what, (text) => said.push(text))
  /** As whoever did it ends, or dies. */
  const leave = ({ id }: Task) => node.directory.release(`task/${id}`)

  const away = () => `${workspace}.away`
  const write = () => {
    writeFileSync(join(workspace, 'a.txt'), 'one\n')
    utimesSync(join(workspace, 'a.txt'), 1000, 1000)
  }
  beforeEach(async () => {
    workspace = temporaryFolder()
    write()
    mesh = await memoryMesh()
    node = await mesh.join('home', { roles: ['supervisor'] })
    const { authority } = mesh
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    tasks = await openTasks({ transport: await mesh.connect(), addresses, key: authority.tasksKey, by: 'test' })
    said = []
  })
  afterEach(async () => {
    for (const folder of [workspace, away()]) rmSync(folder, { recursive: true, force: true })
    await mesh.close()
  })

  it('goes on when the same is asked of the same files under the same policy', async () => {
    const first = await take()
    assert.equal((await take()).id, first.id)
    assert.match(said.join(), /goes on/)
  })

  it('goes on with its own budget, and not where that is more than is given now', async () => {
    const give = (tokens: number) => takeUp(node, tasks, asked(), (text) => said.push(text), { budget: { tokens } })
    const free = await take()
    const first = await give(5000)
    assert.notEqual(first.id, free.id)
    assert.equal(first.budget?.limit.tokens, 5000)
    const second = await give(9000)
    assert.deepEqual([second.id, second.budget?.limit.tokens], [first.id, 5000])
    const third = await give(1000)
    assert.ok(![free.id, first.id].includes(third.id))
    assert.equal(third.budget?.limit.tokens, 1000)
  })

  for (const [what, change] of Object.entries({
    'a file was written': () => writeFileSync(join(workspace, 'a.txt'), 'one\ntwo\n'),
    'a file was written again with the same length': () => writeFileSync(join(workspace, 'a.txt'), 'two\n'),
    'a file is gone': () => rmSync(join(workspace, 'a.txt')),
    'another folder, with files that look the same, has taken the place of that one': () => {
      renameSync(workspace, away())
      mkdirSync(workspace)
      write()
    },
  }))
    it(`is begun anew when ${what}`, async () => {
      const first = await take()
      change()
      assert.notEqual((await take()).id, first.id)
      assert.match(said.join(), /have changed/)
      const states = (await tasks.list()).map(({ state }) => state).sort()
      assert.deepEqual(states, ['ended', 'unfinished'])
    })

  it('is begun anew under another policy, and left alone by another request', async () => {
    const first = await take()
    assert.notEqual((await take(asked('another'))).id, first.id)
    assert.notEqual((await take(asked('count', 'q'))).id, first.id)
  })

  it('is left alone while another node does it, and gone on with as soon as that one is gone', async () => {
    const other = await mesh.join('other', { roles: ['supervisor'] })
    const first = await take(asked(), other)
    await node.directory.wait(() => node.directory.locate(`task/${first.id}`), 60_000)
    const second = await take()
    assert.notEqual(second.id, first.id)
    assert.match(said.join(), new RegExp(`being done as task ${first.id} already`))
    await leave(second)
    const waiting = take()
    await other.abandon()
    assert.equal((await waiting).id, first.id)
  })

  it('is another once that one has ended, also while its end is waited for', async () => {
    const other = await mesh.join('other', { roles: ['supervisor'] })
    const first = await take(asked(), other)
    await node.directory.wait(() => node.directory.locate(`task/${first.id}`), 60_000)
    const waiting = take()
    await first.end({ ok: true, answer: 'done' })
    await other.directory.release(`task/${first.id}`)
    assert.notEqual((await waiting).id, first.id)
    assert.doesNotMatch(said.join(), /goes on/)
  })

  it('is kept from nobody by a worker that takes its name', async () => {
    const worker = await mesh.join('worker', { roles: ['worker'] })
    const first = await take()
    await leave(first)
    await worker.directory.claim(`task/${first.id}`)
    await node.directory.wait(() => node.directory.locate(`task/${first.id}`), 60_000)
    assert.equal((await take()).id, first.id)
  })
})
