import { ClawmeshError } from '../../policies/errors.js'

/** What an answer with this status means, and an error with it as its code that comes in a stream. `why` is the server's own text. */
export function refusal(status: number, why: string): ClawmeshError {
  const message = `The model server answers ${status}: ${why}`
  if (status === 401 || status === 403)
    return new ClawmeshError('DENIED', message, { hint: 'The server wants a key; run it without one on this machine.' })
  if (status === 429 || status === 503)
    return new ClawmeshError('MODEL_BUSY', message, { hint: 'Ask again in a moment.' })
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
