/** What is written down: an event says what happened, in which task, with which facts. */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { decode, encode } from '../codec.js'
import type { AgreementKey } from '../seal/keys.js'
import { sodium } from '../seal/sodium.js'

export const eventKinds = [
  'node.joined',
  'node.left',
  'node.lost',
  'node.enrolled',
  'node.refused',
  'node.revoked',
  'message.denied',
  'actor.crashed',
  'actor.restarted',
  'policy.loaded',
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
  'approval.asked',
  'approval.decided',
  'approval.refused',
  'approval.revoked',
  'approval.answered',
  'vote.cast',
  'vote.decided',
  'checkpoints.found',
  'debate.opened',
  'debate.round',
  'debate.lost',
  'route.decided',
  'egress.intended',
  'egress.ended',
  'label.lowered',
  'gateway.asked',
  'gateway.answered',
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

/** Sealed to the auditors: the node that writes an event cannot read it back. */
export function sealEvent({ kind, trace, actor, facts }: AuditEvent, auditorKey: Uint8Array): Uint8Array {
  return sodium.crypto_box_seal(encode([kind, trace, actor, facts]), auditorKey)
}

const wireSchema = z
  .tuple([z.enum(eventKinds), z.string(), z.string(), z.record(z.string(), z.unknown())])
  .transform(([kind, trace, actor, facts]): AuditEvent => ({ kind, trace, actor, facts }))

export function openEvent(sealed: Uint8Array, auditor: AgreementKey): AuditEvent {
  try {
    return wireSchema.parse(decode(sodium.crypto_box_seal_open(sealed, auditor.publicKey, auditor.secretKey)))
  } catch (cause) {
    throw new ClawmeshError('AUDIT_BROKEN', 'An audit event cannot be opened with this auditor key.', { cause })
  }
}
