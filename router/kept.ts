/**
 * What the node with the keys alone knows of a prompt: that the money for it is spent, or what a model judged it to be. It says so in what it refuses with, and
 * whoever asked may go by it: ask a model of the mesh instead.
 */
import { ClawmeshError } from '../policies/errors.js'
import { type Label, labels } from '../policies/router-label.js'

export interface Kept {
  readonly spent: readonly string[]
  /** As a model judged it, where that is why. What the node with the keys has seen of the work before is no news of the prompt, and is not said. */
  readonly label?: Label
}

/** @param why ends the sentence that it does not leave because … */
export function keeping(why: string, { spent, label }: Kept, cause?: unknown): ClawmeshError {
  return new ClawmeshError('DENIED', `The prompt does not leave the mesh: ${why}.`, {
    hint: '`clawmesh route --explain FILE` says what is found in a text, and which rule decides.',
    data: {
      kept: true,
      ...(spent.length > 0 && { spent: spent.join(' ') }),
      ...(label && { label }),
    },
    ...(cause === undefined ? {} : { cause }),
  })
}

/** Undefined for whatever else went wrong. */
export function keptBy({ code, data }: ClawmeshError): Kept | undefined {
  if (code !== 'DENIED' || data['kept'] !== true) return undefined
  const label = labels.find((each) => each === data['label'])
  return {
    spent: String(data['spent'] ?? '')
      .split(' ')
      .filter(Boolean),
    ...(label && { label }),
  }
}
