/** The crash matrix of `npm run soak -- crash`, with few steps. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { crashAtEveryStep } from './crash.js'
import { victims } from './doom.js'

for (const victim of victims)
  it(`a task whose ${victim} is killed at every step loses no step and doubles no recorded effect`, async () => {
    const { kills, faults } = await crashAtEveryStep(victim, 4, Number(process.env['CLAWMESH_SEED'] ?? 3))
    assert.deepEqual({ kills, faults }, { kills: 4, faults: [] })
  })
