import { status } from '@grpc/grpc-js'
import { ClawmeshError, type ErrorDetail } from '../../policies/errors.js'

/** What an ended RPC means to the caller. Codes as Triton uses them for unary calls; what comes in a stream has text alone (`streamFailure`). */
export function rpcFailure(thrown: unknown, target: string): ClawmeshError {
  if (thrown instanceof ClawmeshError) return thrown
  const { code, details } = statusOf(thrown)
  const message = `Triton at ${target} answers: ${details}`
  switch (code) {
    case status.NOT_FOUND:
    case status.INVALID_ARGUMENT:
    case status.UNIMPLEMENTED:
      return new ClawmeshError('MODEL_UNSUITED', message, {
        hint: 'Load or name a model that can do this.',
        cause: thrown,
      })
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
      return new ClawmeshError('DENIED', message, {
        hint: 'The server wants a key; run it without one on this machine.',
        cause: thrown,
      })
    case status.DEADLINE_EXCEEDED:
      return new ClawmeshError('DEADLINE', message, {
        hint: 'It may be loading the model or be overloaded: look at it, and ask again.',
        cause: thrown,
      })
    case status.RESOURCE_EXHAUSTED:
      if (/larger than max/i.test(details))
        return new ClawmeshError('MODEL_UNSUITED', message, {
          hint: 'Shorten the prompt, or have the model give the logits of the last token alone.',
          cause: thrown,
        })
      return new ClawmeshError('MODEL_BUSY', message, { hint: 'Ask again in a moment.', cause: thrown })
    case status.UNAVAILABLE:
      return failed(`Triton at ${target} says: ${details}`, { data: { away: true }, cause: thrown })
    default:
      return streamFailure(details, target, thrown)
  }
}

/** The code of an error that came as text, inside a stream. */
export function streamFailure(text: string, target: string, cause?: unknown): ClawmeshError {
  const message = `Triton at ${target} says: ${text}`
  if (/queue|too many requests|rate limit/i.test(text) && /exceed|full|limit|many/i.test(text))
    return new ClawmeshError('MODEL_BUSY', message, { hint: 'Ask again in a moment.', cause })
  if (
    /unknown model|no available versions|unexpected (shape|datatype|inference input)|expected \d+ inputs?|max_model_len|maximum (context|model) length|longer than the maximum|exceeds? (the )?max(imum)? (input|sequence|context) length/i.test(
      text,
    )
  )
    return new ClawmeshError('MODEL_UNSUITED', message, {
      hint: 'Load or name a model that can do this, or shorten the prompt.',
      cause,
    })
  return failed(message, { cause })
}

const failed = (message: string, more: Pick<ErrorDetail, 'data' | 'cause'>) =>
  new ClawmeshError('MODEL_FAILED', message, {
    hint: 'Check that the server is running, look at its log, and ask again.',
    ...more,
  })

function statusOf(thrown: unknown): { code: number; details: string } {
  if (!(thrown instanceof Error)) return { code: status.UNKNOWN, details: String(thrown) }
  const code = 'code' in thrown && typeof thrown.code === 'number' ? thrown.code : status.UNKNOWN
  return { code, details: 'details' in thrown && typeof thrown.details === 'string' ? thrown.details : thrown.message }
}
