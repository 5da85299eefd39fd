/** Which models may see a prompt, by what the rules decide. Pure. Without one that may the answer is a refusal, never the next best model. */
import { ClawmeshError } from '../policies/errors.js'
import type { RouteDecision } from '../policies/router.js'

/** Where a model computes: on a machine of this mesh, or at somebody else's. */
export type Zone = 'mesh' | 'elsewhere'

export interface Candidate {
  /** Elsewhere: `provider/model`. */
  readonly name: string
  readonly zone: Zone
}

/** The candidates that the decision lets see it, in their order; those elsewhere by their name. Throws DENIED if none may. */
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
  const asked = candidates.map(({ name }) => name).join(', ')
  throw new ClawmeshError('DENIED', `By the rule ${rule} this prompt may not leave the mesh for ${asked}.`, {
    hint: 'Ask a model of the mesh, or `auto`, which takes one where the rules need it; a model elsewhere must be named in the router rules.',
  })
}
