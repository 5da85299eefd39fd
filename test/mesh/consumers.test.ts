/** What watches and reads leave behind in the broker. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { jetstreamManager } from '@nats-io/jetstream'
import { addressesOf } from '../../mesh/address.js'
import { eventually } from '../kit/eventually.js'
import { type NatsMesh, natsMesh } from '../kit/mesh.js'

/** Consumers that the broker knows, as its administrator sees them. */
async function consumers(mesh: NatsMesh): Promise<number> {
  let sum = 0
  for (const account of ['mesh', 'audit'] as const) {
    const connection = await mesh.plain(await mesh.accounts.administrator(account))
    sum += (await (await jetstreamManager(connection)).getAccountInfo()).consumers
    await connection.close()
  }
  return sum
}

describe('the broker', () => {
  let mesh: NatsMesh
  beforeEach(async () => {
    mesh = await natsMesh()
  })
  afterEach(() => mesh.close())

  it('keeps no consumer of nodes that came and went, nor of readers of the audit stream', async () => {
    const stays = await mesh.join('stays')
    const { auditStream } = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const operator = await mesh.connectAsAuditor()
    const before = await consumers(mesh)
    for (let round = 0; round < 5; round += 1) {
      const node = await mesh.join('comes-and-goes')
      await eventually(() => assert.equal(stays.nodes().length, 2))
      await node.close()
      for await (const { bytes } of operator.log(auditStream).read()) assert.ok(bytes.length > 0)
    }
    await eventually(async () => assert.equal(await consumers(mesh), before))
    await operator.close()
  })

  it('brings back no watch of before when it is started again', async () => {
    const node = await mesh.join('stays')
    const before = await consumers(mesh)
    for (let round = 0; round < 3; round += 1) {
      const { pid } = mesh.broker
      process.kill(pid, 'SIGKILL')
      await eventually(() => assert.notEqual(mesh.broker.pid, pid))
      await eventually(async () => assert.equal(await consumers(mesh), before))
      await eventually(() => assert.equal(node.nodes().length, 1))
    }
  })
})
