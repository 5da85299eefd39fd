/**
 * Which models may see a prompt. Pure.
 *
 * Nothing classifies prompts yet, so each counts as RESTRICTED, and RESTRICTED stays in the mesh: a model elsewhere is never a choice, and without a local
 * one the answer is a refusal. What may leave, and how, comes with the classifier.
 */
import { ClawmeshError } from '../policies/errors.js'
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
