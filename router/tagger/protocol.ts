/** What the process of a tagger and the one that started it say to each other. */
import { z } from 'zod'
import { tagKinds } from './tagger.js'

export interface ToChild {
  readonly id: number
  readonly texts: readonly string[]
}

const tag = z.strictObject({ kind: z.enum(tagKinds), start: z.int().min(0), end: z.int().min(1) })

export const fromChildSchema = z.discriminatedUnion('type', [
  /** It passed its own test. */
  z.strictObject({ type: z.literal('ready') }),
  z.strictObject({ type: z.literal('broken'), why: z.string() }),
  z.strictObject({ type: z.literal('tags'), id: z.int(), tags: z.array(z.array(tag)) }),
  z.strictObject({ type: z.literal('failed'), id: z.int(), why: z.string() }),
])
export type FromChild = z.output<typeof fromChildSchema>
