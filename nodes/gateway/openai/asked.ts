/** One question in whichever form of the OpenAI API, as all of them are answered. */
import { z } from 'zod'
import type { Answer, GenerateEvent, GenerateRequest, Usage } from '../../../inference/backend.js'
import type { Sensitivity } from '../../../policies/router-label.js'
import { Refusal } from '../http/refusal.js'

/** What all parts of one answer say of it. */
export interface AnswerHead {
  id: string
  /** Seconds since 1970. */
  created: number
  model: string
}

export interface Asked {
  model: string
  stream: boolean
  question: GenerateRequest
  /** Where the labels of this conversation begin. */
  label: Sensitivity | undefined
  /** What ends the answer. */
  stop: readonly string[]
  /** Of the answer's id. */
  prefix: 'chatcmpl-' | 'cmpl-'
  /** Why an answer is not what was asked for; left out where anything will do. */
  misfit?: ((answer: Answer) => string | undefined) | undefined
  whole(head: AnswerHead, answer: Answer): object
  /** Makes the chunks of one streamed answer of its events. */
  chunks(head: AnswerHead): (event: GenerateEvent) => object[]
}

/** As OpenAI takes it: up to four. */
export const stopSchema = z
  .union([
    z
      .string()
      .min(1)
      .transform((word) => [word]),
    z.array(z.string().min(1).max(200)).max(4),
  ])
  .nullish()
  .transform((words) => words ?? [])

/** The body of a request. Throws 400, and says which part cannot be used. */
export function parseBody<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const where = issue?.path.join('.') || 'the body'
  throw new Refusal(400, 'MESSAGE_INVALID', `The request cannot be used: ${where}: ${issue?.message ?? 'malformed'}.`)
}

export const usageOf = ({ promptTokens, outputTokens }: Usage) => ({
  prompt_tokens: promptTokens,
  completion_tokens: outputTokens,
  total_tokens: promptTokens + outputTokens,
})
