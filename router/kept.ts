/**
 * What the node with the keys alone knows of a prompt: that the money for it is spent, or what a model judged it to be. It says so in what it refuses with, and
 * whoever asked may go by it: ask a model of the mesh instead.
 */
import { ClawmeshError } from '../policies/errors.js'
import { type Label, labels } from '../policies/router-label.js'

export interface Kept {
  readonly spent: readonly string[]
  /** Of what the work has seen, as the node with the keys knows it, or of the prompt as it was judged. */
  readonly label?: Label
  /** It was to be judged and was not. */
  readonly isUnjudged?: boolean
}

/** @param why ends the sentence that it does not leave because … */
export function keeping(why: string, { spent, label, isUnjudged }: Kept, cause?: unknown): ClawmeshError {
  return new ClawmeshError('DENIED', `The prompt does not leave the mesh: ${why}.`, {
    hint: '`clawmesh route --explain FILE` says what is found in a text, and which rule decides.',
    data: {
      ...(spent.length > 0 && { spent: spent.join(' ') }),
      ...(label && { label }),
      ...(isUnjudged && { unjudged: true }),
    },
    ...(cause === undefined ? {} : { cause }),
  })
}

/** Undefined for whatever else went wrong. */
export function keptBy({ code, data }: ClawmeshError): Kept | undefined {
  const { spent, unjudged } = data
  const label = labels.find((each) => each === data['label'])
  if (code !== 'DENIED' || (typeof spent !== 'string' && !label && unjudged !== true)) return undefined
  return {
    spent: typeof spent === 'string' ? spent.split(' ') : [],
    ...(label && { label }),
    ...(unjudged === true && { isUnjudged: true }),
  }
}
