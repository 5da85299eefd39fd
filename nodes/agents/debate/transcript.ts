/** What happened in a debate, in order: all that its outcome depends on, and nothing that it does not. */
import { z } from 'zod'
import type { DebateRules } from './rules.js'

const tokens = z.int().nonnegative().nullable()
/** How often it was asked before in vain, without a bill: a voter that was lost is asked again. */
const lost = z.int().positive().exactOptional()

/** What came from outside after the debate was opened. `tokens` is null where no bill came. */
export const debateEventSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('voted'),
    round: z.int(),
    voter: z.string(),
    answer: z.string(),
    confidence: z.number(),
    reason: z.string(),
    tokens,
    lost,
  }),
  /** It answered what cannot be read, died, was not reached or was called off. */
  z.object({
    type: z.literal('failed'),
    round: z.int(),
    voter: z.string(),
    code: z.string(),
    reason: z.string(),
    tokens,
    lost,
  }),
  /** The time of a round, or of the judge, is up. */
  z.object({ type: z.literal('late'), round: z.int() }),
  /** Another holder goes on with it: what was under way is asked once more. */
  z.object({ type: z.literal('resumed') }),
  /** The caller gave up. */
  z.object({ type: z.literal('stopped'), reason: z.string() }),
])
export type DebateEvent = z.output<typeof debateEventSchema>

export interface Transcript {
  rules: DebateRules
  events: DebateEvent[]
}
