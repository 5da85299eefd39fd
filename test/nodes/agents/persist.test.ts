/** A task whose supervisor is cut off from the mesh in the middle of it. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { doAsked } from '../../../nodes/agents/job/persist.js'
import { askedOf } from '../../../nodes/agents/job/take-up.js'
import { Cable } from '../../kit/cable.js'
import { eventually } from '../../kit/eventually.js'
import { called, raiseCrew } from './crew.js'

it('goes on under the same number when the others have given its supervisor up and have it back', async () => {
  const crew = await raiseCrew(() => called('count_lines', { path: 'a.csv' }))
  try {
    const { mesh, tasks, workspace, about, files, workers } = crew
    const cable = new Cable()
    const transport = cable.through(await mesh.connect())
    const supervisor = await mesh.join('supervisor', { roles: ['supervisor'], transport })
    const onlooker = await mesh.join('onlooker')
    const isSeen = () => onlooker.directory.node('supervisor') !== undefined
    await eventually(() => assert.ok(isSeen()))
    const taken: string[] = []
    const said: string[] = []
    const request = 'How many lines has a.csv?'
    const progress = (text: string) => said.push(text)
    const job = { request, workspace: about, files, workers, signal: new AbortController().signal, progress }
    const doing = doAsked(supervisor, tasks, askedOf(request, workspace, files), job, ({ id }) => {
      if (taken.push(id) === 1) cable.pull()
    })
    await eventually(() => assert.ok(!isSeen()))
    cable.plugIn()
    const { answer, error } = await doing
    assert.equal(error, undefined)
    assert.match(answer, /2 lines/)
    assert.deepEqual(taken, [taken[0], taken[0]])
    assert.match(said.join('\n'), /longer than its lease.* The task goes on\./)
    const left = (await tasks.list()).map(({ id, state }) => [id, state])
    assert.deepEqual(left, [[taken[0], 'ended']])
  } finally {
    await crew.dismiss()
  }
})
