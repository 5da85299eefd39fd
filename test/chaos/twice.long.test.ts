import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { temporaryFolder } from '../kit/mesh.js'
import { startTwice } from './twice.js'

describe('two main jobs started at once from one clone', () => {
  const home = temporaryFolder()
  after(() => rmSync(home, { recursive: true, force: true }))

  it('do not meet, not even over the lock of a process that was killed', async () => {
    mkdirSync(join(home, 'clawmesh', 'mesh'), { recursive: true })
    // A process id that the kernel gives to nobody.
    writeFileSync(join(home, 'clawmesh', 'mesh', 'lock'), '4194305 1')
    assert.deepEqual(await startTwice(home), [])
  })
})
