import { ClawmeshError } from '../../policies/errors.js'

/** llama.cpp says so to all that it answers where these share one context, as without `--parallel`, and have filled it together; what is too long by itself it refuses otherwise. */
const isFull = (why: string): boolean => /context size has been exceeded/i.test(why)
const ownContexts =
  'All of its answers share one context: start it with `--parallel N`, which gives each its own, or with a larger `--ctx-size`.'

/** What an answer with this status means, and an error with it as its code that comes in a stream before anything else. `why` is the server's own text. */
export function refusal(status: number, why: string): ClawmeshError {
  const message = `The model server answers ${status}: ${why}`
  if (status === 401 || status === 403)
    return new ClawmeshError('DENIED', message, { hint: 'The server wants a key; run it without one on this machine.' })
  if (status === 429 || status === 503)
    return new ClawmeshError('MODEL_BUSY', message, { hint: 'Ask again in a moment.' })
  if (status === 500 && isFull(why))
    return new ClawmeshError('MODEL_BUSY', message, { hint: `Ask again in a moment. ${ownContexts}` })
  if (status >= 400 && status < 500)
    return new ClawmeshError('MODEL_UNSUITED', message, {
      hint: 'Pull or choose a model that can do this, or shorten the prompt.',
      data: { status },
    })
  return new ClawmeshError('MODEL_FAILED', message, {
    hint: 'Look at the log of the server, and ask again.',
    // It is there, and answers nothing: another machine may.
    data: { status, away: true },
  })
}

/** An error amid an answer: whatever its code, the question was asked and part of it answered, which is not done again unasked. */
export function brokenOff(why: string): ClawmeshError {
  return new ClawmeshError('MODEL_FAILED', `The model server broke off with an error: ${why}`, {
    hint: isFull(why) ? ownContexts : 'Look at the log of the server, and ask again.',
  })
}
