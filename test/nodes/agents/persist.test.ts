/** A task whose supervisor is cut off from the mesh in the middle of it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { doAsked } from '../../../nodes/agents/job/persist.js'
import { askedOf, letGo, takeUp } from '../../../nodes/agents/job/take-up.js'
import { Cable } from '../../kit/cable.js'
import { eventually } from '../../kit/eventually.js'
import { called, raiseCrew } from './crew.js'

describe('a task whose supervisor the others have given up', { concurrency: 3 }, () => {
  /** `meanwhile` is done by another supervisor before the first has the mesh back. */
  async function cutOff(meanwhile: 'nothing' | 'takes it over' | 'ends it') {
    const crew = await raiseCrew(() => called('count_lines', { path: 'a.csv' }))
    try {
      const { mesh, tasks, workspace, about, files, workers } = crew
      const cable = new Cable()
      const transport = cable.through(await mesh.connect())
      const supervisor = await mesh.join('supervisor', { roles: ['supervisor'], transport })
      const another = await mesh.join('another', { roles: ['supervisor'] })
      const isSeen = () => another.directory.node('supervisor') !== undefined
      await eventually(() => assert.ok(isSeen()))
      const taken: string[] = []
      const said: string[] = []
      const request = 'How many lines has a.csv?'
      const progress = (text: string) => said.push(text)
      const asked = askedOf(request, { folder: workspace }, files)
      const job = { request, workspace: about, files, workers, signal: new AbortController().signal, progress }
      const doing = doAsked(supervisor, tasks, asked, job, ({ id }) => {
        if (taken.push(id) === 1) cable.pull()
      })
      await eventually(() => assert.ok(!isSeen()))
      if (meanwhile !== 'nothing') {
        const task = await takeUp(another, tasks, asked, () => undefined)
        assert.equal(task.id, taken[0])
        if (meanwhile === 'ends it') {
          await task.end({ ok: true, answer: '2 lines' })
          await letGo(another, task.id)
        }
      }
      cable.plugIn()
      const done = await doing.catch((error: Error) => error)
      return { done, taken, said, left: await tasks.list() }
    } finally {
      await crew.dismiss()
    }
  }

  it('goes on under the same number when it has the mesh back', async () => {
    const { done, taken, said, left } = await cutOff('nothing')
    assert.ok(!(done instanceof Error), String(done))
    assert.equal(done.error, undefined)
    assert.match(done.answer, /2 lines/)
    assert.deepEqual(taken, [taken[0], taken[0]])
    assert.match(said.join('\n'), /longer than its lease.* The task goes on\./)
    assert.deepEqual(
      left.map(({ id, state }) => [id, state]),
      [[taken[0], 'ended']],
    )
  })

  for (const [meanwhile, says] of [
    ['takes it over', /^Another supervisor goes on with task/],
    ['ends it', /^Another supervisor has ended task/],
  ] as const)
    it(`is left to another supervisor that ${meanwhile} meanwhile, and is not begun a second time with a whole budget`, async () => {
      const { done, taken, left } = await cutOff(meanwhile)
      assert.ok(done instanceof Error)
      assert.match(done.message, says)
      assert.deepEqual(
        left.map(({ id }) => id),
        taken,
      )
    })
})
