/** The models of a node as an actor: what others send to a node that serves some. */

import { z } from 'zod'
import { actor, type Context, message, on } from '../mesh/index.js'
import { ClawmeshError } from '../policies/errors.js'
import {
  embedEventSchema,
  type GenerateEvent,
  type GenerateRequest,
  generateEventSchema,
  generateRequestSchema,
  modelInfoSchema,
} from './backend.js'
import type { Shelf } from './shelf.js'

export const Generate = message('inference.generate', {
  /** Without a model's name it is the node's first. */
  request: generateRequestSchema.extend({ model: z.string().optional() }),
  item: generateEventSchema,
  from: ['supervisor', 'router', 'gateway'],
  granted: { roles: ['worker'], use: (request) => ({ can: 'think', on: 'mesh', tokens: mostTokens(request) }) },
  to: ['inference'],
})

export const Embed = message('inference.embed', {
  request: z.object({ texts: z.array(z.string()).min(1).max(256) }),
  item: embedEventSchema,
  from: ['supervisor', 'router', 'gateway'],
  to: ['inference'],
})

/** Asked with the name of a model; null: the node's first. */
export const DescribeModel = message('inference.describe', { request: z.string().nullable(), reply: modelInfoSchema })

export const inferenceName = (node: string) => `inference/${node}`

/** What is set aside for an answer: no tokenizer makes more tokens of what is said than there are bytes. Tools are billed with the rest. */
export const mostTokens = ({ messages, maxTokens }: GenerateRequest): number =>
  messages.reduce((sum, { content }) => sum + Buffer.byteLength(content), maxTokens)

const hadNoTime = ({ code }: ClawmeshError): boolean => code === 'MODEL_BUSY'

/**
 * The same events, and the bill to whoever limits what may be asked. `isFree`: by what a model says that it was not asked after all, which has cost nothing; an answer that breaks off has,
 * whatever is said of it.
 */
export async function* billed(
  events: AsyncIterable<GenerateEvent>,
  context: Pick<Context, 'bill'>,
  isFree: (failure: ClawmeshError) => boolean = hadNoTime,
): AsyncGenerator<GenerateEvent> {
  let hasBegun = false
  try {
    for await (const event of events) {
      hasBegun = true
      if (event.type === 'done' && event.usage) context.bill(event.usage.promptTokens + event.usage.outputTokens)
      yield event
    }
  } catch (error) {
    if (!hasBegun && isFree(ClawmeshError.from(error))) context.bill(0)
    throw error
  }
}

/** Requests wait here only as long as the backend's own queue lets them: it says MODEL_BUSY, this never does. */
export const inferenceService = (shelf: Shelf) =>
  actor(
    'inference',
    () => [
      on(Generate, ({ model, ...request }, context) => billed(shelf.generate(model, request, context.signal), context)),
      on(Embed, ({ texts }, { signal }) => shelf.embed(texts, signal)),
      on(DescribeModel, (model) => shelf.describe(model ?? undefined)),
    ],
    { args: z.undefined(), concurrency: 256 },
  )
