/** What the broker lets each kind of user do: pure, least privilege, no more than the fabric needs. */
import type { Addresses } from '../address.js'

export interface Permissions {
  publish: string[]
  subscribe: string[]
}

/**
 * Of every certified node. The user's name is its certificate's holder and its tag the key of its node's entry, so that the broker itself keeps one node
 * from listening to another's inbox, writing another's audit records, or answering for another's lease.
 */
export function memberPermissions(addresses: Addresses): Permissions {
  const bucket = addresses.directory
  const stream = `KV_${bucket}`
  return {
    publish: [
      addresses.inboxes,
      addresses.audit('{{name()}}'),
      addresses.enrolment,
      `$KV.${bucket}.${addresses.nodeKeyAt(`{{tag(${nodeTag})}}`)}`,
      `$KV.${bucket}.${addresses.actorKeys}`,
      '$JS.API.INFO',
      `$JS.API.STREAM.INFO.${stream}`,
      `$JS.API.STREAM.MSG.GET.${stream}`,
      `$JS.API.DIRECT.GET.${stream}`,
      `$JS.API.DIRECT.GET.${stream}.>`,
      `$JS.API.CONSUMER.CREATE.${stream}`,
      `$JS.API.CONSUMER.CREATE.${stream}.>`,
      `$JS.API.CONSUMER.INFO.${stream}.>`,
      `$JS.API.CONSUMER.DELETE.${stream}.>`,
      '$JS.FC.>',
    ],
    subscribe: [addresses.inboxesOf('{{name()}}'), `${addresses.repliesTo('{{name()}}')}.>`],
  }
}

/** Of somebody who holds an invitation and no certificate: one question, and its answer. */
export function joinerPermissions(addresses: Addresses): Permissions {
  return { publish: [addresses.enrolment], subscribe: [`${addresses.repliesTo('{{name()}}')}.>`] }
}

export const nodeTag = 'node'
