import { TextDecoder } from 'node:util'
import { ClawmeshError } from '../../policies/errors.js'

/** Longest event, in characters: a server that never ends a line must not fill the memory. */
const longest = 1_000_000

/**
 * The data of each server-sent event of a body (WHATWG HTML, 9.2), however the bytes are cut. A last event without its blank line is
 * given out too, since some servers close the connection right behind it. Throws MODEL_FAILED for what is not UTF-8 or has no end.
 */
export async function* serverSentEvents(body: AsyncIterable<Uint8Array>): AsyncIterable<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  let data: string[] = []
  for await (const piece of body) {
    rest += decode(decoder, piece)
    if (rest.length > longest) throw malformed(`an event is longer than ${longest} characters`)
    // A carriage return at the very end may be the first half of a line end.
    const lines = rest.split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line === '' && data.length > 0) {
        yield data.join('\n')
        data = []
      } else if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5))
    }
  }
  if (rest.startsWith('data:')) data.push(rest.slice(rest[5] === ' ' ? 6 : 5).trimEnd())
  if (data.length > 0) yield data.join('\n')
}

function decode(decoder: TextDecoder, piece: Uint8Array): string {
  try {
    return decoder.decode(piece, { stream: true })
  } catch (cause) {
    throw malformed('its bytes are not UTF-8', cause)
  }
}

export function malformed(why: string, cause?: unknown): ClawmeshError {
  return new ClawmeshError('MODEL_FAILED', `The model server's answer cannot be read: ${why}.`, {
    hint: 'Look at the log of the server, and ask again.',
    cause,
  })
}
