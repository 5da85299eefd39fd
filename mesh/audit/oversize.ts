/** Events that are larger than a record may be: the stream would take none of them, and nothing of their node that comes after. Pure. */
import { ClawmeshError } from '../../policies/errors.js'
import { encode } from '../codec.js'
import { digest, hex } from '../seal/keys.js'
import type { AuditEvent } from './event.js'

/** Of an event as it is packed. A record is one message of the stream, of at most 1 MB, with what seals and signs it. */
export const mostEventBytes = 384 * 1024

/** What is left of facts and names: each of the small ones, until there is enough. */
const [smallBytes, leftBytes, leftCharacters] = [1024, 64 * 1024, 1024]

/** The same with facts that fit: those that are small as they are, and of all of them the length and the SHA-256 as they would have been packed (`cut`). */
export function cutToSize({ kind, trace, actor, facts }: AuditEvent): AuditEvent {
  const whole = encode(facts)
  const left: AuditEvent['facts'] = {}
  let bytes = 0
  for (const [name, value] of Object.entries(facts)) {
    const size = encode([name, value]).length
    if (size > smallBytes || bytes + size > leftBytes) continue
    left[name] = value
    bytes += size
  }
  const cut = { bytes: whole.length, sha256: hex(digest(whole)) }
  return { kind, trace: trace.slice(0, leftCharacters), actor: actor.slice(0, leftCharacters), facts: { ...left, cut } }
}

/** What cannot be written down whole is not done. */
export const tooLarge = ({ kind }: AuditEvent, bytes: number): ClawmeshError =>
  new ClawmeshError(
    'MESSAGE_INVALID',
    `What was to be done would be an event (${kind}) of ${bytes} bytes, and the audit trail takes ${mostEventBytes}: it was not done.`,
    { hint: 'Ask for less at once.' },
  )
