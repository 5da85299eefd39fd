/**
 * In whose name a dead letter is sent once more. Who wrote it says what was sent and by whom, and may lie; so it is never sent with a right that its writer could gain
 * something by: with the certified roles of its sender, which are no more than the writer's own, or else back to the writer alone.
 */
import { ClawmeshError } from '../../policies/errors.js'
import type { Role } from '../../policies/roles.js'
import type { Certificate } from '../seal/certificate.js'
import type { DeadLetter } from './letter.js'

export interface Replay {
  /** Of whoever sends it. Never the authority's: there is one. */
  readonly roles: readonly Role[]
  /** Of whoever may answer it. */
  readonly to: readonly Role[] | 'members'
}

/** `host`: of the node where its actor runs now. Throws DENIED for a letter that its writer could not have sent and that would go to another. */
export function replayOf(letter: DeadLetter, host: Certificate | undefined): Replay {
  const { id, sender, writer, to, actor } = letter
  const roles = sender.roles.filter((role) => role !== 'authority')
  // What it says of others is the authority's word, as their certificates are.
  const isBelieved = writer.roles.includes('authority') || sender.roles.every((role) => writer.roles.includes(role))
  if (isBelieved) return { roles, to }
  if (host?.holder !== writer.holder)
    throw new ClawmeshError(
      'DENIED',
      `Dead letter ${id} says that node "${sender.name}" sent it; "${writer.name}", which wrote it, may not do what that one may, and ${actor} does not run there.`,
      { hint: 'Have its sender send it again, and drop it.' },
    )
  // It may move meanwhile: not to a node of other roles.
  return { roles, to: to === 'members' ? writer.roles : to.filter((role) => writer.roles.includes(role)) }
}
