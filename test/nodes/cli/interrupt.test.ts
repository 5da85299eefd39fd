/** Ctrl-C while a mesh is still being started: it ends at once, whatever it waits for, and leaves nothing behind. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { Awake } from '../../kit/awake.js'
import { eventually } from '../../kit/eventually.js'
import { temporaryFolder } from '../../kit/mesh.js'
import { run } from '../command.js'

/** Of this process's own time. Less than what it would wait for the silent server; on a machine that is busy with other tests many times what it takes. */
const endsWithinMs = 9000
const request = ['start', 'how many lines has notes.txt']

describe('a start that is interrupted', () => {
  const folder = temporaryFolder()
  const workspace = join(folder, 'workspace')
  const data = join(folder, 'data')
  mkdirSync(workspace)
  writeFileSync(join(workspace, 'notes.txt'), 'one\ntwo\n')
  after(() => rmSync(folder, { recursive: true, force: true }))

  /** Interrupts it as soon as `when` holds of what it has said. */
  async function interrupt(when: (said: string) => void, env: Record<string, string> = {}): Promise<string> {
    const running = run([...request, '--workspace', workspace, '--data', data, '--model', 'shipped'], { env })
    await eventually(() => when(running.stderr()), 60_000)
    const awake = new Awake()
    running.child.kill('SIGINT')
    const ended = await running.ended
    assert.ok(awake.ms < endsWithinMs, `it took ${Math.round(awake.ms)} ms: ${ended.stderr}`)
    awake.stop()
    assert.equal(ended.status, 1)
    assert.deepEqual(ended.error.slice(0, 1), ['clawmesh: Stopped by SIGINT.'])
    assert.equal(ended.error.length, 2, ended.stderr)
    await eventually(() => assert.deepEqual(ended.left(), []))
    assert.equal(existsSync(join(data, 'lock')), false)
    return ended.stderr
  }

  it('while the nodes come up', async () => {
    const said = await interrupt((text) => assert.match(text, /nats-server .* at/))
    assert.doesNotMatch(said, /nodes are up/)
  })

  it('while a nats-server does not say what it is', async () => {
    const path = join(folder, 'silent-server')
    const begun = join(folder, 'begun')
    writeFileSync(path, `#!/bin/sh\n: > "${begun}"\nexec sleep 60\n`, { mode: 0o755 })
    await interrupt(() => assert.ok(existsSync(begun)), { CLAWMESH_NATS_SERVER: path })
  })

  it('while a nats-server is fetched', async () => {
    let isAsked = false
    const silent = createServer(() => {
      isAsked = true
    })
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as AddressInfo
    try {
      await interrupt(() => assert.ok(isAsked), {
        // Programs are found, a nats-server is not.
        PATH: '/usr/bin:/bin',
        CLAWMESH_CACHE: join(folder, 'empty cache'),
        CLAWMESH_NATS_RELEASES: `http://127.0.0.1:${port}`,
      })
    } finally {
      silent.closeAllConnections()
      silent.close()
    }
  })
})
