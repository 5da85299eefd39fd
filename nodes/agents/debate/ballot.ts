/** What a debate asks of its voters and its judge. Any actor that answers these can take part. */
import { z } from 'zod'
import { message } from '../../../mesh/index.js'

export const voteSchema = z.object({
  voter: z.string(),
  answer: z.string(),
  confidence: z.number().min(0).max(1),
  reason: z.string(),
})

export const ballotSchema = z.object({
  /** null: what the voter thought cannot be read as an answer. */
  answer: z.string().max(8192).nullable(),
  confidence: z.number().min(0).max(1),
  reason: z.string().max(8192),
  /** Of prompts and answers; null: the model behind the voter does not say. */
  tokens: z.int().nonnegative().nullable(),
})
export type Ballot = z.output<typeof ballotSchema>

export const CastBallot = message('debate.vote', {
  request: z.object({
    question: z.string(),
    round: z.int().min(1),
    /** What this voter said in the round before, and what it hears of others. */
    own: voteSchema.optional(),
    heard: z.array(voteSchema),
    seed: z.int().nonnegative().optional(),
  }),
  reply: ballotSchema,
  from: ['supervisor'],
  to: ['worker'],
})

export const JudgeDebate = message('debate.judge', {
  request: z.object({ question: z.string(), votes: z.array(voteSchema), seed: z.int().nonnegative().optional() }),
  reply: ballotSchema,
  from: ['supervisor'],
  to: ['worker'],
})
