/**
 * Which models may see a prompt. Pure.
 *
 * `choose` follows a decision of the rules. `route` is for prompts that no router has read: by their label alone only PUBLIC ones may leave.
 * Without a model that may see it the answer is a refusal, never the next best model.
 */
import { ClawmeshError } from '../policies/errors.js'
import type { RouteDecision } from '../policies/router.js'
import type { Label } from './label.js'

/** Where a model computes: on a machine of this mesh, or at somebody else's. */
export type Zone = 'mesh' | 'elsewhere'

export interface Candidate {
  name: string
  zone: Zone
}

/** Where each label may go. */
const reach: Record<Label, readonly Zone[]> = {
  PUBLIC: ['mesh', 'elsewhere'],
  INTERNAL: ['mesh'],
  CONFIDENTIAL: ['mesh'],
  RESTRICTED: ['mesh'],
}

/** The candidates that may see it, in their order. Throws DENIED if there are some and none of them may, UNREACHABLE if there are none. */
export function route<C extends Candidate>(label: Label, candidates: readonly C[]): C[] {
  const allowed = candidates.filter(({ zone }) => reach[label].includes(zone))
  if (allowed.length > 0) return allowed
  if (candidates.length === 0) {
    throw new ClawmeshError('UNREACHABLE', 'No node in the mesh serves a model.', {
      hint: 'Start a node with the role inference.',
    })
  }
  throw new ClawmeshError('DENIED', `A prompt labelled ${label} may not leave the mesh, and no model runs in it.`, {
    hint: 'Start a node with the role inference.',
  })
}

/** The candidates that the decision lets see it, in their order; those elsewhere by their name, `provider/model`. Throws DENIED if none may. */
export function choose<C extends Candidate>(decision: RouteDecision, candidates: readonly C[]): C[] {
  const { effect, rule, models } = decision
  if (effect === 'block') {
    throw new ClawmeshError('DENIED', `The rule ${rule} blocks this prompt: no model sees it.`, {
      hint: 'Take the secret out of it. `clawmesh route --explain FILE` shows where it stands.',
    })
  }
  const leaves = effect === 'redact' || effect === 'allow'
  const allowed = candidates.filter(({ name, zone }) => zone === 'mesh' || (leaves && models.includes(name)))
  if (allowed.length > 0) return allowed
  throw new ClawmeshError('DENIED', `The rule ${rule} keeps this prompt in the mesh, and no model runs in it.`, {
    hint: 'Start a node with the role inference, or name a model under elsewhere in the router rules if the rule may let it leave.',
  })
}
