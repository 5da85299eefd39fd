import { z } from 'zod'
import { ClawmeshError, type ErrorCode, errorCodes } from '../../policies/errors.js'
import { type GenerateRequest, generateEventSchema, modelInfoSchema } from '../backend.js'
import { speedSchema } from '../place.js'

/** What a process is told to load, and within which bounds. */
export interface LoadOrder {
  folder: string
  /** Answers under way side by side, and waiting behind them. */
  slots: number
  queue: number
  threads: number
  /** Most bytes of keys and values: of answers under way, and of earlier ones kept for those that begin alike. Left out: shares of the memory. */
  cacheBytes?: number
  prefixBytes?: number
}

/** From the node to the process that holds the model. */
export type ToChild =
  | (LoadOrder & { type: 'load' })
  | { type: 'generate'; id: number; request: GenerateRequest }
  | { type: 'cancel'; id: number }
  | { type: 'stats' }

/** The stages of a load, in milliseconds. `modules` is what importing took in the process. */
export const loadTimesSchema = z.object({
  modules: z.number(),
  verify: z.number(),
  text: z.number(),
  session: z.number(),
  /** The first run of the graph. */
  first: z.number(),
})
export type LoadTimes = z.infer<typeof loadTimesSchema>

/** What the process has done since it was started, and what it is at. */
export const statsSchema = z.object({
  steps: z.int(),
  runs: z.int(),
  /** Tokens computed, and tokens of prompts that were taken from earlier ones. */
  fed: z.int(),
  reused: z.int(),
  /** Milliseconds with answers under way, as far as such times are over, and milliseconds inside the graph. */
  busyMs: z.number(),
  computeMs: z.number(),
  running: z.int(),
  waiting: z.int(),
})
export type Stats = z.infer<typeof statsSchema>

const wireErrorSchema = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string(),
  data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
})
export type WireError = z.infer<typeof wireErrorSchema>

/** Something of one answer: what it says next, or why it failed. */
const newsSchema = z.union([
  z.object({ id: z.int(), event: generateEventSchema }),
  z.object({ id: z.int(), error: wireErrorSchema }),
])
export type News = z.infer<typeof newsSchema>

/** Back. Parsed on arrival: the process runs native code over a file that others made. */
export const fromChildSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('loaded'), model: modelInfoSchema, times: loadTimesSchema }),
  z.object({ type: z.literal('broken'), error: wireErrorSchema }),
  z.object({ type: z.literal('measured'), speed: speedSchema }),
  /** All of one step together. */
  z.object({ type: z.literal('news'), news: z.array(newsSchema) }),
  z.object({ type: z.literal('stats'), stats: statsSchema }),
])
export type FromChild = z.infer<typeof fromChildSchema>

export function fromWire({ code, message, hint, data }: WireError): ClawmeshError {
  return new ClawmeshError(isCode(code) ? code : 'MODEL_FAILED', message, { hint, data })
}

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCodes, code)
}
