import type { EmbedEvent } from '../backend.js'
import { malformed } from './sse.js'
import { embeddingsSchema } from './wire.js'

/** Of the widest models in use, 16,384 numbers of at most 26 characters. */
export const bytesPerVector = 16_384 * 26

/** The vectors of an answer to POST /v1/embeddings, in the order of the texts. Throws MODEL_FAILED unless there is one for each, all of one length. */
export function* readVectors(body: string, texts: number): Iterable<EmbedEvent> {
  const { data, usage } = parse(body)
  const vectors = data.toSorted((a, b) => a.index - b.index)
  if (vectors.length !== texts || vectors.some(({ index }, at) => index !== at))
    throw malformed(`it has not one vector for each of ${texts} texts`)
  const [first] = vectors
  if (vectors.some(({ embedding }) => embedding.length !== first?.embedding.length))
    throw malformed('its vectors differ in length')
  for (const { embedding } of vectors) yield { type: 'vector', vector: embedding }
  yield { type: 'done', promptTokens: usage?.prompt_tokens ?? null }
}

function parse(body: string) {
  try {
    return embeddingsSchema.parse(JSON.parse(body))
  } catch (cause) {
    throw malformed('it holds no embeddings', cause)
  }
}
