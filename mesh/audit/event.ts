/** What is written down: an event says what happened, in which task, with which facts. */
import { z } from 'zod'
import { binary, decode, encode, time } from '../codec.js'

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
  'actor.abandoned',
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
  'file.intended',
  'file.opened',
  'file.changed',
  'file.refused',
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
  'route.judged',
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
  'subject.erased',
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
  /** The key of the person whom its facts are about, by its id: they are sealed to it. */
  readonly subject?: string
  /** Why its facts cannot be read, where that is nobody's will. */
  readonly unreadable?: string
}

/** Facts about a person, as they stand in a record. */
export interface SealedFacts {
  /** The id of the person's key, 16 bytes. */
  readonly subject: Uint8Array
  /** The key that they are sealed under, itself sealed to the person's. */
  readonly key: Uint8Array
  /** Of what that key has sealed. */
  readonly number: number
  readonly sealed: Uint8Array
}

/** An event out of a record, whose facts may be sealed once more. */
export interface PackedEvent extends Omit<DatedEvent, 'facts'> {
  readonly facts: AuditEvent['facts'] | undefined
  readonly sealed: SealedFacts | undefined
}

/** What an event says of itself whoever its facts are about: sealed facts are bound to it. */
export const placeOf = ({ time, kind, trace, actor }: Omit<PackedEvent, 'facts' | 'sealed'>): Uint8Array =>
  encode([time, kind, trace, actor])

export function packEvent(
  time: number,
  { kind, trace, actor, facts }: AuditEvent,
  about: SealedFacts | undefined = undefined,
): Uint8Array {
  const said = about ? [about.subject, about.key, about.number, about.sealed] : facts
  return encode([time, kind, trace, actor, said])
}

/** Packed events as one msgpack array of them. */
export function joinEvents(packed: readonly Uint8Array[]): Uint8Array {
  const count = new Uint8Array([0xdd, 0, 0, 0, 0])
  new DataView(count.buffer).setUint32(1, packed.length)
  return Buffer.concat([count, ...packed])
}

/** What stands on a trail is given out as JSON: what cannot be is no event. */
export const factsSchema = z.record(z.string(), z.unknown()).refine((facts) => {
  try {
    return JSON.stringify(facts) !== undefined
  } catch {
    return false
  }
})

const number = z.number().int().nonnegative().max(0xffff_ffff)
const sealedSchema = z.tuple([binary.refine(({ length }) => length === 16), binary, number, binary])

const joinedSchema = z.array(
  z.tuple([time, z.enum(eventKinds), z.string(), z.string(), z.union([sealedSchema, factsSchema])]),
)

/** Throws for what `joinEvents` did not make. */
export const splitEvents = (joined: Uint8Array): PackedEvent[] =>
  joinedSchema.parse(decode(joined)).map(([time, kind, trace, actor, said]) => {
    const event = { time, kind, trace, actor }
    if (!Array.isArray(said)) return { ...event, facts: said, sealed: undefined }
    const [subject, key, number, sealed] = said
    return { ...event, facts: undefined, sealed: { subject, key, number, sealed } }
  })
