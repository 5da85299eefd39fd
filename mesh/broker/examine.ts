/**
 * Whether servers that somebody else runs do for a mesh what its own broker would: asked of the servers themselves, before anything is stored there. What they
 * let through is tried as a member would, and by nobody else's name.
 */

import { jetstreamManager } from '@nats-io/jetstream'
import { headers, type NatsConnection } from '@nats-io/transport-node'
import type { Addresses } from '../address.js'
import { connectOnce } from '../transport/nats.js'
import type { BrokerUser } from './accounts.js'

export interface Examined {
  version: string
  /** One of several servers that keep streams together. */
  isClustered: boolean
  /** What is missing, in words. */
  shortcomings: string[]
}

export interface Examination {
  servers: string[]
  addresses: Addresses
  /** With every right in the mesh's account and in that of the audit stream. */
  mesh: BrokerUser
  audit: BrokerUser
  /** A member, and its holder, that nobody else is. */
  member: BrokerUser
  holder: string
}

const oldest = [2, 9] as const
const leastPayload = 1024 * 1024
const answerWithinMs = 2000

export async function examineServers({
  servers,
  addresses,
  mesh,
  audit,
  member,
  holder,
}: Examination): Promise<Examined> {
  const open = (user: BrokerUser) => connectOnce({ servers, user, name: 'examiner' })
  const connections: NatsConnection[] = []
  try {
    for (const user of [mesh, audit, member]) connections.push(await open(user))
    const [ofMesh, ofAudit, ofMember] = connections as [NatsConnection, NatsConnection, NatsConnection]
    const { version = '', max_payload = 0, cluster } = ofMesh.info ?? {}
    const shortcomings: string[] = []
    if (!isCurrent(version)) shortcomings.push(`its version is ${version}; ${oldest.join('.')} or newer is needed`)
    if (max_payload < leastPayload)
      shortcomings.push(`it takes messages of ${max_payload} bytes; max_payload must be 1MB`)
    for (const [name, connection] of [
      ['mesh', ofMesh],
      ['audit', ofAudit],
    ] as const)
      if (!(await storesStreams(connection))) shortcomings.push(`JetStream is not enabled for the ${name} account`)
    for (const subject of ['>', addresses.inboxes, `$KV.${addresses.directory}.>`])
      if (await lets(ofMember, subject))
        shortcomings.push(`a member may listen to ${subject}: the scope of its key is not honoured`)
    if (!(await lets(ofMember, addresses.inboxesOf(holder))))
      shortcomings.push('a member may not listen to its own inbox')
    return { version, isClustered: cluster !== undefined, shortcomings }
  } finally {
    await Promise.all(connections.map((connection) => connection.close()))
  }
}

/**
 * Whether a member's record would reach the audit stream through the service of its account, and be answered: asked by one that the stream must refuse, since it
 * expects a place that is none.
 */
export async function reachesAudit(servers: string[], member: BrokerUser, subject: string): Promise<boolean> {
  const connection = await connectOnce({ servers, user: member, name: 'examiner' })
  try {
    const impossible = headers()
    impossible.set('Nats-Expected-Last-Sequence', String(Number.MAX_SAFE_INTEGER))
    const answer = await connection.request(subject, '', { headers: impossible, timeout: answerWithinMs })
    return /wrong last sequence/.test(answer.string())
  } catch {
    return false
  } finally {
    await connection.close()
  }
}

function isCurrent(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1])
}

async function storesStreams(connection: NatsConnection): Promise<boolean> {
  try {
    await (await jetstreamManager(connection, { timeout: answerWithinMs, checkAPI: false })).getAccountInfo()
    return true
  } catch {
    return false
  }
}

/** A server answers in order: if it had an objection, it came before the answer to what was asked after. */
async function lets(connection: NatsConnection, subject: string): Promise<boolean> {
  let refused = false
  const subscription = connection.subscribe(subject, {
    callback: (error) => {
      if (error) refused = true
    },
  })
  await connection.flush()
  subscription.unsubscribe()
  return !refused
}
