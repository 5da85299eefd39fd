/** What is written down: an event says what happened, in which task, with which facts. */
import { z } from 'zod'
import { decode, encode, time } from '../codec.js'

export const eventKinds = [
  'node.joined',
  'node.left',
  'node.lost',
  'node.enrolled',
  'node.refused',
  'node.revoked',
  'node.drained',
  'message.denied',
  'message.lost',
  'grant.used',
  'dead.replayed',
  'dead.dropped',
  'actor.crashed',
  'actor.restarted',
  'policy.loaded',
  'policy.refused',
  'model.loaded',
  'task.started',
  'task.resumed',
  'task.planned',
  'task.ended',
  'thought.asked',
  'thought.answered',
  'action.intended',
  'action.ended',
  'action.held',
  'network.intended',
  'network.ended',
  'network.refused',
  'approval.asked',
  'approval.decided',
  'approval.refused',
  'approval.revoked',
  'approval.answered',
  'vote.cast',
  'vote.decided',
  'checkpoints.found',
  'room.changed',
  'debate.opened',
  'debate.round',
  'debate.lost',
  'route.decided',
  'egress.intended',
  'egress.ended',
  'label.lowered',
  'label.refused',
  'model.used',
  'key.added',
  'key.removed',
  'gateway.refused',
  'gateway.asked',
  'gateway.answered',
  /** Stands for an event of a record that is a link of its chain and whose contents are none of ours. No node writes it. */
  'event.unreadable',
] as const
export type EventKind = (typeof eventKinds)[number]

export const auditEventSchema = z.object({
  kind: z.enum(eventKinds),
  /** The task, or the empty string for what belongs to none. */
  trace: z.string(),
  /** The actor that did it, or the node itself. */
  actor: z.string(),
  facts: z.record(z.string(), z.unknown()),
})
export type AuditEvent = z.output<typeof auditEventSchema>

export interface DatedEvent extends AuditEvent {
  /** Milliseconds since 1970, by the producer's clock. */
  readonly time: number
}

export const packEvent = (time: number, { kind, trace, actor, facts }: AuditEvent): Uint8Array =>
  encode([time, kind, trace, actor, facts])

/** Packed events as one msgpack array of them. */
export function joinEvents(packed: readonly Uint8Array[]): Uint8Array {
  const count = new Uint8Array([0xdd, 0, 0, 0, 0])
  new DataView(count.buffer).setUint32(1, packed.length)
  return Buffer.concat([count, ...packed])
}

/** What stands on a trail is given out as JSON: what cannot be is no event. */
const factsSchema = z.record(z.string(), z.unknown()).refine((facts) => {
  try {
    return JSON.stringify(facts) !== undefined
  } catch {
    return false
  }
})

const joinedSchema = z.array(z.tuple([time, z.enum(eventKinds), z.string(), z.string(), factsSchema]))

/** Throws for what `joinEvents` did not make. */
export const splitEvents = (joined: Uint8Array): DatedEvent[] =>
  joinedSchema.parse(decode(joined)).map(([time, kind, trace, actor, facts]) => ({ time, kind, trace, actor, facts }))
