/** I7: a task of a hundred steps through many deaths of its program and of the broker. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { surviveDeaths } from './task.js'

it('a task of 100 steps loses no step and doubles no recorded effect, however often its program and the broker are killed', async () => {
  const seed = Number(process.env['CLAWMESH_SEED'] ?? 11)
  const { lives, brokerDeaths, inDoubt, faults } = await surviveDeaths(seed, 60)
  assert.deepEqual(faults, [], `seed ${seed}`)
  assert.ok(lives > 5 && brokerDeaths > 0 && inDoubt > 0, JSON.stringify({ lives, brokerDeaths, inDoubt }))
})
