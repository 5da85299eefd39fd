/**
 * A voter that thinks with a model of the mesh, and a judge that does.
 *
 * A model that takes conversations is asked for its answer as JSON and is told what it hears of others. One that knows a closed set of tools and holds no
 * conversation, as the one that ships, can vote on arithmetic alone: it turns the question into an expression, the expression is worked out, and in later
 * rounds its fresh sample is weighed with what it said before and what it hears (`opinion.ts`).
 */
import { z } from 'zod'
import type { Answer, GenerateRequest } from '../../../inference/backend.js'
import { actor, type Context, type MeshNode } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { act } from '../act.js'
import { missingOf } from '../job/sum.js'
import { tokensOf } from '../model/costs.js'
import { Uses } from '../model/price.js'
import { openSession } from '../model/privacy.js'
import { type Thinking, think } from '../model/think.js'
import { offeredTools } from '../tools.js'
import type { Ballot } from './ballot.js'
import { opinionOf } from './opinion.js'
import { judgePrompt, phrased, readBallot, votePrompt } from './prompt.js'
import { judges, type Question, votes } from './seat.js'

export const debaterArgsSchema = z.object({
  /** The model that it thinks with; any of the mesh if left out. */
  model: z.string().optional(),
  /** 'conversation', unless said otherwise: asked in words, answers in JSON. 'arithmetic': asked for an expression. */
  thinks: z.enum(['conversation', 'arithmetic']).optional(),
  /** Which wording it puts a question in, so that one misunderstanding is not everybody's. */
  phrasing: z.int().nonnegative().optional(),
  temperature: z.number().min(0).max(2).optional(),
  maxTokens: z.int().positive().optional(),
})
export type DebaterArgs = z.output<typeof debaterArgsSchema>

export interface DebaterOptions {
  /** Works an expression out in this process; without it that is done in a sandbox, as any action is. Throws a ClawmeshError for one that has no value. */
  calculate?: (expression: string) => string
}

export const debater = (node: MeshNode, options: DebaterOptions = {}) =>
  actor(
    'debater',
    (self, args: DebaterArgs) => {
      const voter = { node, name: self.name, args, options }
      const vote = args.thinks === 'arithmetic' ? voteByArithmetic : voteInWords
      return [
        votes(node, self.name, (question, context) =>
          recorded(node, self.name, question.round, context, vote({ ...voter, context }, question)),
        ),
        judges(node, async ({ question, seen, votes: cast, seed }, context) => {
          const request = { messages: judgePrompt(question, cast) }
          const { text, bill } = await ask({ ...voter, context }, request, { seen, seed })
          return { ...readBallot(text), ...bill }
        }),
      ]
    },
    { args: debaterArgsSchema, concurrency: 4 },
  )

interface Voter {
  node: MeshNode
  name: string
  args: DebaterArgs
  options: DebaterOptions
  context: Context
}

async function voteInWords(voter: Voter, { question, own, heard, ...rest }: Question): Promise<Ballot> {
  const { text, bill } = await ask(voter, { messages: votePrompt(question, own, heard) }, rest)
  return { ...readBallot(text), ...bill }
}

async function voteByArithmetic(voter: Voter, { question, own, heard, ...rest }: Question): Promise<Ballot> {
  const content = phrased(question, voter.args.phrasing ?? 0)
  const { calls, bill } = await ask(voter, { messages: [{ role: 'user', content }], tools: offeredTools }, rest)
  const expression = calls[0]?.name === 'calculate' ? calls[0].arguments['expression'] : undefined
  if (typeof expression !== 'string')
    return { answer: null, confidence: 0, reason: 'the model sees no arithmetic in the question', ...bill }
  const missing = missingOf(question, expression)
  if (missing !== undefined)
    return {
      answer: null,
      confidence: 0,
      reason: `the model made "${expression}" of the question, without ${missing}`,
      ...bill,
    }
  const value = await workOut(voter, expression)
  if (typeof value !== 'string') return { answer: null, confidence: 0, reason: value.why, ...bill }
  return { ...opinionOf({ answer: value, reason: `${expression} = ${value}` }, own, heard), ...bill }
}

/** The value, or why there is none. Working something out twice does no harm, so a voter that dies meanwhile is simply asked again. */
async function workOut({ node, options, context }: Voter, expression: string): Promise<string | { why: string }> {
  const why = (reason: string) => ({ why: `the expression ${expression} has no value: ${reason}` })
  if (options.calculate) {
    try {
      return options.calculate(expression)
    } catch (error) {
      return why(ClawmeshError.from(error).message)
    }
  }
  const { outcome } = await act(node, { name: 'calculate', arguments: { expression } }, context)
  return outcome.status === 'done' ? String(outcome.result['value']) : why(outcome.reason)
}

/** The bill is of all models that were asked on the way, also of one that was lost over it; of no tokens where one of them does not say. */
async function ask(
  { node, name, args: { model, temperature = 0.7, maxTokens = 400 }, context }: Voter,
  request: Pick<GenerateRequest, 'messages' | 'tools'>,
  { seen, seed }: Pick<Question, 'seen' | 'seed'>,
): Promise<Answer & { bill: Pick<Ballot, 'tokens' | 'uses'> }> {
  const whole = { ...request, maxTokens, temperature, ...(seed === undefined ? {} : { seed }) }
  const { deadline, signal, trace, grant } = context
  const session = await openSession(node, trace, seen)
  const used: (number | null)[] = []
  const uses = new Uses()
  const onUse: Thinking['onUse'] = (use) => {
    used.push(tokensOf(use.usage))
    uses.add(use)
  }
  const answer = await think(node, whole, { model, session, actor: name, deadline, signal, trace, grant, onUse })
  const tokens = used.reduce((sum, one) => (sum === null || one === null ? null : sum + one), 0)
  return { ...answer, bill: { tokens, uses: uses.all } }
}

/** A vote is on the trail whatever came of it; an answer that cannot be used costs this vote and nothing else. */
async function recorded(
  node: MeshNode,
  voter: string,
  round: number,
  { trace }: Context,
  vote: Promise<Ballot>,
): Promise<Ballot> {
  const ballot = await vote.catch((error: unknown): Ballot => {
    const failure = ClawmeshError.from(error)
    if (failure.code !== 'MODEL_FAILED') throw failure
    return { answer: null, confidence: 0, reason: failure.message, tokens: null }
  })
  // What it used by model is on the trail already.
  const { uses: _, ...cast } = ballot
  await node.audit.record({ kind: 'vote.cast', trace, actor: voter, facts: { round, ...cast } })
  return ballot
}
