import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'
import { run } from '../nodes/command.js'
import { isReleased } from './command.js'
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

  it('SIGTERM to npm: the mesh that it started hears of it', async () => {
    const mesh = join(data, 'mesh')
    const typed = ['npm', 'run', 'clawmesh', '--']
    const { child, stderr, ended } = run(['up', '--data', mesh, '--model', 'shipped'], { typed, group: true })
    try {
      await eventually(() => assert.match(stderr(), /The mesh is up/), 120_000)
      child.kill('SIGTERM')
      await eventually(() => assert.ok(isReleased(mesh), 'the mesh goes on'), 15_000)
      assert.match(stderr(), /draining/)
    } finally {
      if (child.pid !== undefined && !isReleased(mesh)) process.kill(-child.pid, 'SIGKILL')
    }
    const { left } = await ended
    await eventually(() => assert.deepEqual(left(), []))
  })
})
