/** What a debate asks of its voters and its judge. Any actor that answers these can take part; `seat.ts` answers them in the room of the debate. */
import { z } from 'zod'
import { binary } from '../../../mesh/codec.js'
import { message } from '../../../mesh/index.js'
import { sensitivitySchema } from '../../../policies/router-label.js'
import { billShape } from '../model/price.js'
import { openerSchema } from './statement.js'

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
  /** The same by model, for whoever counts money; left out or null where nobody says. */
  uses: billShape.uses.optional(),
})
export type Ballot = z.output<typeof ballotSchema>

/** In the words of the holder, or what opens it where it was said in the room. */
const heardSchema = z.array(z.union([voteSchema, openerSchema]))

/** How sensitive is what the question was made of. */
const seen = sensitivitySchema.optional()

/** The room of the debate, which the one who asks holds. */
const room = z.string().optional()

export const CastBallot = message('debate.vote', {
  request: z.object({
    question: z.string(),
    seen,
    round: z.int().min(1),
    /** What this voter said in the round before, and what it hears of others. */
    own: voteSchema.optional(),
    heard: heardSchema,
    seed: z.int().nonnegative().optional(),
    room,
  }),
  /** With the key to what the voter said of it in the room. */
  reply: ballotSchema.extend({ key: binary.optional() }),
  from: ['supervisor'],
  to: ['worker'],
})

export const JudgeDebate = message('debate.judge', {
  request: z.object({ question: z.string(), seen, votes: heardSchema, seed: z.int().nonnegative().optional(), room }),
  reply: ballotSchema,
  from: ['supervisor'],
  to: ['worker'],
})
