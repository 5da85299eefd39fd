/** How a question to a provider fails, in words; the same whichever process says them. */
import { ClawmeshError } from '../../policies/errors.js'
import type { unanswered } from './unanswered.js'

/** Never with the text of the answer: a provider may repeat in it what it was sent. */
export function failed(
  name: string,
  what: string,
  isBusy: boolean,
  cause?: unknown,
  data: Partial<typeof unanswered> = {},
): ClawmeshError {
  return new ClawmeshError(isBusy ? 'MODEL_BUSY' : 'MODEL_FAILED', `The provider ${name} ${what}.`, {
    hint: isBusy ? 'Try again later.' : 'Check url, key and model in the key store.',
    data,
    ...(cause === undefined ? {} : { cause }),
  })
}

/** It may have been reached, and may want to be paid. */
export const broken = (name: string, cause?: unknown): ClawmeshError =>
  failed(name, 'broke off in the middle of its answer', true, cause)

export const givenUp = (cause?: unknown): ClawmeshError =>
  new ClawmeshError('CANCELLED', 'The question to a model elsewhere was given up.', { cause })
