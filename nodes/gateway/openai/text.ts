/** The text completions of the OpenAI API, which some programs still speak. Models of the mesh converse, so the prompt is what a user says. */
import { z } from 'zod'
import type { Answer, GenerateEvent } from '../../../inference/backend.js'
import { type AnswerHead, type Asked, parseBody, stopSchema, usageOf } from './asked.js'
import { metadataSchema, tokens } from './chat.js'

/** What OpenAI takes where nothing is said. */
const defaultTokens = 16

export const textRequestSchema = z.strictObject({
  model: z.string().min(1).max(200),
  prompt: z.union([z.string().min(1), z.tuple([z.string().min(1)]).transform(([prompt]) => prompt)]),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_usage: z.boolean().optional() }).nullish(),
  max_tokens: tokens,
  temperature: z.number().min(0).max(2).nullish(),
  stop: stopSchema,
  seed: z.int().nonnegative().max(0xffffffff).nullish(),
  // These are let in only where they ask for what happens anyway.
  n: z.literal(1).nullish(),
  best_of: z.literal(1).nullish(),
  echo: z.literal(false).nullish(),
  top_p: z.literal(1).nullish(),
  presence_penalty: z.literal(0).nullish(),
  frequency_penalty: z.literal(0).nullish(),
  logprobs: z.null().optional(),
  suffix: z.union([z.null(), z.literal('')]).optional(),
  // This changes no answer.
  user: z.string().optional(),
  metadata: metadataSchema.nullish(),
})

/** Throws 400 for what cannot be honoured. */
export function parseText(body: unknown): Asked {
  const asked = parseBody(textRequestSchema, body)
  return {
    model: asked.model,
    stream: asked.stream === true,
    question: {
      messages: [{ role: 'user', content: asked.prompt }],
      maxTokens: asked.max_tokens ?? defaultTokens,
      temperature: asked.temperature ?? 1,
      ...(typeof asked.seed === 'number' ? { seed: asked.seed } : {}),
    },
    label: asked.metadata?.label,
    stop: asked.stop,
    prefix: 'cmpl-',
    whole,
    chunks: (head) => chunksOf(head, asked.stream_options?.include_usage === true),
  }
}

const choiceOf = (text: string, reason: string | null) => ({ index: 0, text, logprobs: null, finish_reason: reason })

const whole = (head: AnswerHead, { text, reason, usage }: Answer) => ({
  ...head,
  object: 'text_completion',
  choices: [choiceOf(text, reason)],
  ...(usage ? { usage: usageOf(usage) } : {}),
})

function chunksOf(head: AnswerHead, withUsage: boolean): (event: GenerateEvent) => object[] {
  const chunk = (choices: object[], usage: object | null = null) => ({
    ...head,
    object: 'text_completion',
    choices,
    ...(withUsage ? { usage } : {}),
  })
  return (event) => {
    if (event.type === 'token') return [chunk([choiceOf(event.text, null)])]
    if (event.type !== 'done') return []
    const end = chunk([choiceOf('', event.reason)])
    return withUsage && event.usage ? [end, chunk([], usageOf(event.usage))] : [end]
  }
}
