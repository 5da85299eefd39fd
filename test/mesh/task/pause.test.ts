import assert from 'node:assert/strict'
import { it } from 'node:test'
import { pause } from '../../../mesh/task/pause.js'
import { ClawmeshError } from '../../../policies/errors.js'

it('a pause that is cut off ends with the reason, and not as a fault of this program', async () => {
  const stop = new AbortController()
  const reason = new ClawmeshError('UNREACHABLE', 'This node was cut off.')
  const cut = assert.rejects(pause(60_000, stop.signal), (error) => error === reason)
  stop.abort(reason)
  await cut
  await assert.rejects(pause(60_000, stop.signal), (error) => error === reason)
  await pause(1)
})
