/** What is acknowledged to a sender of mail is taken, whoever dies meanwhile. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { mailThroughDeaths } from './mail.js'

it('mail is taken in order and has its effect once, however often sender, office, taker and broker are killed', async () => {
  const seed = Number(process.env['CLAWMESH_SEED'] ?? 7)
  const { lives, brokerDeaths, faults } = await mailThroughDeaths(seed, 8, 16)
  assert.deepEqual(faults, [], `seed ${seed}`)
  const enough = Object.values(lives).every((count) => count > 1) && brokerDeaths > 0
  assert.ok(enough, JSON.stringify({ lives, brokerDeaths }))
})
