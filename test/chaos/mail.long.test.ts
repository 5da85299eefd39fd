/** What is acknowledged to a sender of mail is taken, whoever dies meanwhile. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { mailThroughDeaths } from './mail.js'

it('mail is taken in order and has its effect once, whoever of sender, office and taker is killed', async () => {
  const seed = Number(process.env['CLAWMESH_SEED'] ?? 7)
  // The deaths of the broker are in `npm run soak -- mail`: each takes seconds.
  const { lives, faults } = await mailThroughDeaths(seed, 4, { moments: 7, most: 1, ofBroker: false })
  assert.deepEqual(faults, [], `seed ${seed}`)
  assert.deepEqual(lives, { office: 2, sender: 2, taker: 2 })
})
