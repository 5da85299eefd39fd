/** What the process that holds the keys and the one that started it say to each other, as JSON in frames. */
import { z } from 'zod'
import type { Delta } from '../provider/form.js'
import { formNames } from '../provider/form.js'

export const openingSchema = z.strictObject({
  /** Of tokens, Base64: made for this process. */
  tokenKey: z.base64(),
  /** What opens the providers' keys, Base64. */
  unsealing: z.base64(),
  providers: z.record(
    z.string(),
    z.strictObject({ form: z.enum(formNames), url: z.string(), models: z.array(z.string()), sealed: z.base64() }),
  ),
})
export type Opening = z.output<typeof openingSchema>

/** It reads what strangers send, so what it says is looked at as theirs is. */
export const deltaSchema: z.ZodType<Delta> = z.strictObject({
  text: z.string().exactOptional(),
  calls: z
    .array(
      z.strictObject({
        index: z.number(),
        name: z.string().exactOptional(),
        arguments: z.string().exactOptional(),
      }),
    )
    .exactOptional(),
  usage: z
    .strictObject({
      promptTokens: z.number().nonnegative().exactOptional(),
      cachedTokens: z.number().nonnegative().exactOptional(),
      outputTokens: z.number().nonnegative().exactOptional(),
    })
    .exactOptional(),
  reason: z.enum(['stop', 'length', 'call']).exactOptional(),
  done: z.boolean().exactOptional(),
})

/** The errors of a question. */
export const failureSchema = z.strictObject({
  code: z.enum(['MODEL_BUSY', 'MODEL_FAILED', 'CANCELLED', 'DENIED', 'UNREACHABLE']),
  message: z.string(),
  hint: z.string().optional(),
  /** No model can have seen it. */
  unanswered: z.boolean(),
  /** Of the system, where that is known: ECONNREFUSED and the like. */
  cause: z.string().optional(),
})
export type Failure = z.output<typeof failureSchema>

/** Bytes of deltas that may be on the way, or wait to be taken, for each question. */
export const windowBytes = 256 * 1024
