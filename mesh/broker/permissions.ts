/** What the broker lets each kind of user do: pure, least privilege, no more than the fabric needs. */
import type { Addresses } from '../address.js'

export interface Permissions {
  publish: string[]
  subscribe: string[]
}

/**
 * Of every certified node. The user's name is its certificate's holder and its tag the key of its node's entry, so that the broker itself keeps one node
 * from listening to another's inbox or rooms, saying anything in a room, writing audit records or dead letters in its name, or answering for its lease.
 */
export function memberPermissions(addresses: Addresses): Permissions {
  const bucket = addresses.directory
  return {
    publish: [
      addresses.inboxes,
      addresses.roomsBy('{{name()}}'),
      addresses.audit('{{name()}}'),
      ...Array.from('0123456789abcdef', (digit) => addresses.dead('{{name()}}', digit)),
      addresses.enrolment,
      `$KV.${bucket}.${addresses.nodeKeyAt(`{{tag(${nodeTag})}}`)}`,
      `$KV.${bucket}.${addresses.actorKeys}`,
      '$JS.API.INFO',
      ...reading(bucket),
      '$JS.FC.>',
    ],
    subscribe: [
      addresses.inboxesOf('{{name()}}'),
      addresses.roomsOf('{{name()}}'),
      `${addresses.repliesTo('{{name()}}')}.>`,
    ],
  }
}

/** Of a node that supervises: the journals of tasks, and what agents remember, as well. */
export function supervisorPermissions(addresses: Addresses): Permissions {
  const { publish, subscribe } = memberPermissions(addresses)
  const kept = [addresses.tasks, addresses.memory]
  return { publish: [...publish, ...kept.flatMap((bucket) => [`$KV.${bucket}.>`, ...reading(bucket)])], subscribe }
}

/** Of whoever reads the audit stream, in the account that holds it. */
export function auditorPermissions({ auditStream }: Addresses): Permissions {
  return {
    publish: [
      '$JS.API.INFO',
      `$JS.API.STREAM.INFO.${auditStream}`,
      `$JS.API.CONSUMER.CREATE.${auditStream}`,
      ...['CREATE', 'INFO', 'DELETE', 'MSG.NEXT'].map((verb) => `$JS.API.CONSUMER.${verb}.${auditStream}.>`),
    ],
    subscribe: ['_INBOX.>'],
  }
}

/** Of whoever hears, in the broker's own account, of connections of this one that have ended. An empty list would allow all, so that nothing may be published is said as what is denied. */
export const watcherPermissions = (addresses: Addresses, account: string) => ({
  publish: { deny: ['>'] },
  subscribe: [addresses.disconnects(account)],
})

/** Of somebody who holds an invitation and no certificate: one question, and its answer. */
export function joinerPermissions(addresses: Addresses): Permissions {
  return { publish: [addresses.enrolment], subscribe: [`${addresses.repliesTo('{{name()}}')}.>`] }
}

/**
 * Of a second site's own server, in the account of the mesh: what its members may do, in all their names. Whom it lets in and what each of them may do, that
 * server sees to by the same tokens.
 */
export function sitePermissions(addresses: Addresses): Permissions {
  const { publish } = supervisorPermissions(addresses)
  const ofAnybody = (subject: string) => subject.replaceAll(/\{\{.*?\}\}/g, '*')
  // Audit records go by an account of their own; here they would go twice.
  const audit = addresses.audit('{{name()}}')
  return {
    publish: publish.filter((subject) => subject !== audit).map(ofAnybody),
    subscribe: [addresses.inboxes, addresses.rooms, '_INBOX.>'],
  }
}

/** The same in the account of the audit stream: to append, and to be answered. */
export function siteAuditPermissions(addresses: Addresses): Permissions {
  return { publish: [addresses.auditSubjects], subscribe: ['_R_.>', '_INBOX.>'] }
}

export const nodeTag = 'node'

/** To read a bucket, and to watch it. */
function reading(bucket: string): string[] {
  const stream = `KV_${bucket}`
  return [
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}.>`,
    `$JS.API.CONSUMER.CREATE.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.>`,
    `$JS.API.CONSUMER.INFO.${stream}.>`,
    `$JS.API.CONSUMER.DELETE.${stream}.>`,
  ]
}
