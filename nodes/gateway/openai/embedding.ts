/** The embeddings of the OpenAI API. */
import { randomUUID } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { ClawmeshError } from '../../../policies/errors.js'
import { embed, embeddingModels } from '../../agents/model/embedding.js'
import { openSession } from '../../agents/model/privacy.js'
import { Refusal, refusalOf } from '../http/refusal.js'
import { parseBody } from './asked.js'
import { metadataSchema } from './chat.js'
import { checkModel, checkTaken, type Desk, untilGone } from './completion.js'

const text = z.string().min(1)
export const embeddingRequestSchema = z.strictObject({
  model: z.string().min(1).max(200),
  /** Texts alone: whoever sends tokens would have to know the model's own. */
  input: z.union([text.transform((one) => [one]), z.array(text).min(1).max(256)]),
  encoding_format: z.enum(['float', 'base64']).default('float'),
  // This changes no answer.
  user: z.string().optional(),
  metadata: metadataSchema.nullish(),
})

export async function answerEmbedding(desk: Desk, request: FastifyRequest, reply: FastifyReply): Promise<object> {
  const { node, limits, metrics } = desk
  const { model, input, encoding_format, metadata } = parseBody(embeddingRequestSchema, request.body)
  const able = embeddingModels(node)
  if (!able.includes(model)) {
    checkTaken(desk, request, model)
    throw new Refusal(404, 'NOT_FOUND', `No model "${model}" makes embeddings in this mesh. ${these(able)}`)
  }
  const policies = checkModel(desk, request, [model])
  const trace = randomUUID()
  desk.aboutCaller(request.principal?.name)?.file(trace)
  const note = (kind: 'gateway.asked' | 'gateway.answered', facts: Record<string, unknown>) =>
    node.note(kind, { key: request.principal?.name, ...facts }, trace, 'gateway')
  const signal = AbortSignal.any([desk.closing, untilGone(reply)])
  const characters = input.reduce((sum, { length }) => sum + length, 0)
  const asked = { role: request.principal?.role, policies, model, embeddings: input.length, characters }
  try {
    const { vectors, promptTokens } = await embed(node, input, {
      model,
      session: await openSession(node, trace, metadata?.label),
      actor: 'gateway',
      deadline: node.now() + limits.answerMs,
      signal,
      trace,
      noteAsked: () => note('gateway.asked', asked),
      noteAnswered: (made) => note('gateway.answered', { tokens: made.promptTokens }),
    })
    metrics.used(promptTokens === null ? null : { promptTokens, outputTokens: 0 })
    return {
      object: 'list',
      data: vectors.map((vector, index) => ({
        object: 'embedding',
        index,
        embedding: encoding_format === 'base64' ? base64(vector) : vector,
      })),
      model,
      // Clients read it where it is not known as well.
      usage: { prompt_tokens: promptTokens ?? 0, total_tokens: promptTokens ?? 0 },
    }
  } catch (error) {
    const refusal = signal.aborted
      ? new Refusal(499, 'CANCELLED', 'The answer is not wanted any more.')
      : (makesNone(error, able, model) ?? refusalOf(error))
    await note('gateway.answered', { error: refusal.code })
    throw refusal.status === 500 ? error : refusal
  }
}

/** Whether its model makes embeddings is known of a server when it is asked for some. */
function makesNone(error: unknown, able: readonly string[], model: string): Refusal | undefined {
  const { code, message } = ClawmeshError.from(error)
  if (code !== 'NOT_FOUND') return undefined
  return new Refusal(404, code, `${message} ${these(able.filter((other) => other !== model))}`)
}

const these = (able: readonly string[]): string =>
  able.length > 0 ? `These do: ${able.join(', ')}.` : 'None does. Start a node with `--model URL`.'

/** As OpenAI packs it: 32-bit floats, the least byte first. */
function base64(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, at * 4)
  return bytes.toString('base64')
}
