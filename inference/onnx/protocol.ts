import { z } from 'zod'
import { ClawmeshError, type ErrorCode, errorCodes } from '../../policies/errors.js'
import { type GenerateRequest, generateEventSchema, modelInfoSchema } from '../backend.js'
import { speedSchema } from '../place.js'

/** From the node to the process that holds the model. */
export type ToChild =
  | { type: 'load'; folder: string; slots: number; queue: number; threads: number }
  | { type: 'generate'; id: number; request: GenerateRequest }
  | { type: 'cancel'; id: number }

/** The stages of a load, in milliseconds. `modules` is what Node took to start and import. */
export const loadTimesSchema = z.object({
  modules: z.number(),
  verify: z.number(),
  text: z.number(),
  session: z.number(),
  /** What measuring the speed took. */
  speed: z.number(),
})
export type LoadTimes = z.infer<typeof loadTimesSchema>

const wireErrorSchema = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string(),
  data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
})
export type WireError = z.infer<typeof wireErrorSchema>

/** Back. Parsed on arrival: the process runs native code over a file that others made. */
export const fromChildSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('loaded'), model: modelInfoSchema, times: loadTimesSchema, speed: speedSchema }),
  z.object({ type: z.literal('broken'), error: wireErrorSchema }),
  z.object({ type: z.literal('event'), id: z.int(), event: generateEventSchema }),
  z.object({ type: z.literal('failed'), id: z.int(), error: wireErrorSchema }),
])
export type FromChild = z.infer<typeof fromChildSchema>

export function fromWire({ code, message, hint, data }: WireError): ClawmeshError {
  return new ClawmeshError(isCode(code) ? code : 'MODEL_FAILED', message, { hint, data })
}

function isCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCodes, code)
}
