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
    ['SIGTERM', 700],
    ['SIGINT', 1600],
    ['SIGTERM', 3500],
    ['SIGHUP', 2500],
  ] as const) {
    it(`${signal} after ${moment} ms`, async () => assert.deepEqual(await interrupt(data, signal, moment), []))
  }
})
