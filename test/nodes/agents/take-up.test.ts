/** What was cut off is gone on with only if it would still be the answer. */
import assert from 'node:assert/strict'
import { rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { addressesOf } from '../../../mesh/address.js'
import { createAuthority } from '../../../mesh/seal/authority.js'
import { openTasks, type Tasks } from '../../../mesh/task/tasks.js'
import { MemoryBroker } from '../../../mesh/transport/memory.js'
import { askedOf, takeUp } from '../../../nodes/agents/job/job.js'
import { temporaryFolder } from '../../kit/mesh.js'

describe('a request that was cut off', () => {
  let workspace = ''
  let tasks: Tasks
  let said: string[] = []
  const asked = (request = 'count', policy = 'p') => askedOf(request, workspace, () => ['a.txt'], policy)
  const take = (what = asked()) => takeUp(tasks, what, (text) => said.push(text))

  beforeEach(async () => {
    workspace = temporaryFolder()
    writeFileSync(join(workspace, 'a.txt'), 'one\n')
    utimesSync(join(workspace, 'a.txt'), 1000, 1000)
    const authority = createAuthority()
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    tasks = await openTasks({ transport: new MemoryBroker().connect(), addresses, key: authority.tasksKey, by: 'test' })
    said = []
  })
  afterEach(() => rmSync(workspace, { recursive: true, force: true }))

  it('goes on when the same is asked of the same files under the same policy', async () => {
    const first = await take()
    assert.equal((await take()).id, first.id)
    assert.match(said.join(), /goes on/)
  })

  for (const [what, change] of Object.entries({
    'a file was written': () => writeFileSync(join(workspace, 'a.txt'), 'one\ntwo\n'),
    'a file was written again with the same length': () => writeFileSync(join(workspace, 'a.txt'), 'two\n'),
    'a file is gone': () => rmSync(join(workspace, 'a.txt')),
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
})
