/** What a debate is told before it begins. A transcript starts with it, so it holds plain data alone. */
import { z } from 'zod'
import { ClawmeshError } from '../../../policies/errors.js'
import { sensitivitySchema } from '../../../policies/router-label.js'

export const topologySchema = z.union([
  z.enum(['all', 'ring', 'star']),
  /** Each hears this many others. */
  z.object({ sparse: z.int().min(1) }),
])
export type Topology = z.output<typeof topologySchema>

const debateRulesSchema = z.object({
  question: z.string().min(1).max(8192),
  /** How sensitive is what the question was made of; its own words are read whatever is said here. */
  seen: sensitivitySchema.optional(),
  /** Actors that answer CastBallot, and the model that each thinks with. */
  voters: z
    .array(z.object({ name: z.string(), model: z.string().default('') }))
    .min(1)
    .max(64),
  /** Who hears whom from the second round on. */
  topology: topologySchema.default('all'),
  /** The first is of independent votes; 1 is a vote without a debate. */
  rounds: z.int().min(1).max(10).default(3),
  vote: z.enum(['majority', 'weighted', 'judge']).default('majority'),
  /** The actor that answers JudgeDebate, where `vote` is 'judge'. */
  judge: z.string().optional(),
  /** So many voters are asked first, and if they all agree nobody else is. 0: everybody is asked at once. */
  gate: z.int().min(0).default(0),
  /** What the first votes decided is overturned by more votes for another answer than it had; 'any': by whatever the last round decides. A judge is not bound. */
  overturn: z.enum(['more', 'any']).default('more'),
  /** Ends as soon as the outcome stands, or nobody moves any more. false: every round is held to its end, whatever it costs. */
  early: z.boolean().default(true),
  /** With fewer votes than this a round says nothing; more than half of the voters unless said otherwise. */
  quorum: z.int().min(1).optional(),
  /** How long one round may take, and how long the judge. */
  roundMs: z.int().positive().default(60_000),
  /** So many different models must be among the voters. */
  models: z.int().min(1).default(1),
  /** The most tokens that the whole debate may take, all prompts and answers together. */
  budget: z.int().positive().optional(),
  /** Set aside for each ask before it is made; an ask that ends without a bill is charged all of it. */
  reserve: z.int().positive().default(1000),
  /** The same seed, voters and models give the same debate. */
  seed: z.int().nonnegative().max(0xffff_ffff).optional(),
})
export type DebateSpec = z.input<typeof debateRulesSchema>
export type DebateRules = z.output<typeof debateRulesSchema> & { quorum: number }

/** Throws USAGE for rules that no debate could follow, MODEL_UNSUITED where the voters are too much alike. */
export function debateRules(spec: DebateSpec): DebateRules {
  const parsed = debateRulesSchema.safeParse(spec)
  if (!parsed.success) throw unusable(z.prettifyError(parsed.error))
  const { voters, gate, vote, judge, models, quorum = Math.floor(voters.length / 2) + 1 } = parsed.data
  if (new Set(voters.map(({ name }) => name)).size < voters.length) throw unusable('two voters have the same name')
  if (quorum > voters.length) throw unusable(`a quorum of ${quorum} is more than the ${voters.length} voters`)
  if (gate === 1) throw unusable('one vote alone always agrees: a gate needs two or more')
  if (gate > voters.length) throw unusable(`a gate of ${gate} is more than the ${voters.length} voters`)
  if (vote === 'judge' && judge === undefined) throw unusable('no judge is named')
  const found = new Set(voters.map(({ model }) => model)).size
  if (found < models) {
    throw new ClawmeshError(
      'MODEL_UNSUITED',
      `The debate asks for ${models} different models; its voters have ${found}.`,
      {
        hint: 'Start nodes that serve other models, or ask for fewer.',
      },
    )
  }
  return { ...parsed.data, quorum }
}

const unusable = (why: string) =>
  new ClawmeshError('USAGE', `The debate cannot be held by these rules: ${why}.`, { hint: 'See docs/debate.md.' })
