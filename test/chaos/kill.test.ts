/** A kill of each layer of the main job's processes; `npm run soak -- kill` does many, of every kind and at every moment. */
import assert from 'node:assert/strict'
import { cpSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'
import { temporaryFolder } from '../kit/mesh.js'
import { describeJudged, KillMatrix } from './kill.js'
import type { Kind } from './tree.js'

describe('kill -9 of any one process of the main job ends in the right answer or a clear error, and leaves nothing behind', () => {
  // The example ledger's first month: the same job in less time.
  const workspace = temporaryFolder()
  cpSync(join(installation, 'examples', 'ledger', 'workspace'), workspace, { recursive: true })
  for (const name of readdirSync(join(workspace, 'q3'))) if (!name.startsWith('07')) rmSync(join(workspace, 'q3', name))
  const request = readFileSync(join(installation, 'examples', 'ledger', 'request.txt'), 'utf8')
  const matrix = new KillMatrix([request, '--workspace', workspace])
  let wallMs = 0
  before(async () => {
    wallMs = (await matrix.begin()).wallMs
  })
  after(() => {
    matrix.close()
    rmSync(workspace, { recursive: true, force: true })
  })

  const layers: Kind[] = ['command', 'broker', 'worker node', 'model', 'tool']
  for (const [index, kind] of layers.entries()) {
    it(`of the ${kind}`, async () => {
      const moment = Math.round(wallMs * (0.35 + 0.05 * index))
      const judged = await matrix.kill({ kind, moment, which: 0 })
      assert.deepEqual(judged.faults, [], describeJudged(judged))
    })
  }

  it('and the same data folder serves an undisturbed run', async () => {
    assert.deepEqual(await matrix.after(), [])
  })
})
