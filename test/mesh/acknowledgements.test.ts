/** What a broker says of what is published to its streams reaches whoever waits for it, whatever it says, and whatever else is under way. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { JetStreamApiError } from '@nats-io/jetstream'
import { ClosedConnectionError, type Msg, type NatsConnection, PermissionViolationError } from '@nats-io/transport-node'
import { addressesOf } from '../../mesh/address.js'
import type { BrokerUser } from '../../mesh/broker/accounts.js'
import { enrol } from '../../mesh/seal/credentials.js'
import { Acknowledgements, NobodyStores } from '../../mesh/transport/acknowledgements.js'
import { eventually } from '../kit/eventually.js'
import { type NatsMesh, natsMesh } from '../kit/mesh.js'

describe('acknowledgements', () => {
  let mesh: NatsMesh
  const opened: NatsConnection[] = []
  let bucket: string
  const bytes = new TextEncoder().encode('x')
  const withinMs = 60_000
  const wrongRevision = 10071

  /** As the transport has it. */
  async function listen(user: BrokerUser) {
    const connection = await mesh.plain(user)
    opened.push(connection)
    const acknowledgements = new Acknowledgements(connection, user.inbox)
    const follow = async () => {
      for await (const status of connection.status())
        if (status.type === 'error' && status.error instanceof PermissionViolationError)
          acknowledgements.refused(status.error)
      acknowledgements.close()
    }
    void follow()
    const publish = (subject: string, header = {}, ms = withinMs) =>
      acknowledgements.publish(subject, bytes, header, ms)
    return { connection, publish }
  }
  let member: Awaited<ReturnType<typeof listen>>
  let operator: Awaited<ReturnType<typeof listen>>

  before(async () => {
    mesh = await natsMesh()
    const { authority } = mesh
    member = await listen(
      await mesh.memberUser(enrol(authority, { name: 'member', roles: ['supervisor'] }, Date.now())),
    )
    operator = await listen(await mesh.accounts.administrator('mesh'))
    bucket = `$KV.${addressesOf(authority.mesh, authority.meshKey).tasks}.`
  })
  after(async () => {
    for (const connection of opened) await connection.close()
    await mesh.close()
  })

  const behind = (seq: number) => ({ 'Nats-Expected-Last-Subject-Sequence': String(seq) })

  it('come to whom they are for, however many are waited for', async () => {
    const first = await Promise.all(Array.from({ length: 200 }, (_, n) => member.publish(`${bucket}many.${n}`)))
    const next = await Promise.all(first.map(({ seq }, n) => member.publish(`${bucket}many.${n}`, behind(seq))))
    assert.equal(new Set([...first, ...next].map(({ seq }) => seq)).size, 400)
  })

  it('say at once that the stream refuses it, that nobody stores it, or that this user may not, and that to nobody else', async () => {
    const { seq } = await member.publish(`${bucket}one`)
    const wrong = member.publish(`${bucket}one`, behind(seq + 7))
    const forbidden = member.publish('$KV.not-ours.key')
    const right = member.publish(`${bucket}two`)
    await assert.rejects(wrong, (error: unknown) => error instanceof JetStreamApiError && error.code === wrongRevision)
    await assert.rejects(forbidden, PermissionViolationError)
    assert.ok((await right).seq > seq)
    await assert.rejects(operator.publish('nobody.is.here'), NobodyStores)
  })

  it('that do not come in time are late, and one that comes later is nobody’s', async () => {
    const held: Msg[] = []
    operator.connection.subscribe('somebody.slow', { callback: (_, message) => void held.push(message) })
    await assert.rejects(operator.publish('somebody.slow', {}, 50), { name: 'TimeoutError' })
    const next = operator.publish('somebody.slow')
    await eventually(() => assert.equal(held.length, 2))
    for (const [n, message] of held.entries()) message.respond(JSON.stringify({ stream: 'made up', seq: n + 1 }))
    assert.equal((await next).seq, 2)
  })

  it('are given up when the connection has ended', async () => {
    operator.connection.subscribe('somebody.silent')
    await operator.connection.flush()
    const waited = assert.rejects(operator.publish('somebody.silent'), ClosedConnectionError)
    await operator.connection.close()
    await waited
    await assert.rejects(operator.publish('somebody.silent'), ClosedConnectionError)
  })
})
