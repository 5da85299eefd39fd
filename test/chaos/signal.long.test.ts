import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { temporaryFolder } from '../kit/mesh.js'
import { interrupt } from './signal.js'

describe('a signal ends the command within 15 s, with no process left and the data folder given back', () => {
  const data = temporaryFolder()
  after(() => rmSync(data, { recursive: true, force: true }))

  for (const [signal, moment] of [
    ['SIGINT', 150],
    ['SIGTERM', /nats-server/],
    ['SIGHUP', /parts for/],
    ['SIGINT', /draining/],
  ] as const) {
    it(`${signal} at ${moment}`, async () => assert.deepEqual(await interrupt(data, signal, moment), []))
  }
})
