/**
 * A place in a debate, for an actor that votes or judges: it is told what the actor is to hear, with what others said in the room opened, and says in the room what
 * it votes.
 *
 *     actor('voter', ({ name }) => [votes(node, name, async ({ question, heard }) => ({ answer: '42', confidence: 1, reason: 'it is', tokens: 0 }))])
 */
import { type Context, type MeshNode, on, type Room } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Sensitivity } from '../../../policies/router-label.js'
import { type Ballot, CastBallot, JudgeDebate } from './ballot.js'
import { closeStatement, type Opener, openStatement, statementSchema } from './statement.js'
import type { Vote } from './tally.js'

export interface Question {
  question: string
  /** How sensitive is what it was made of. */
  seen: Sensitivity | undefined
  round: number
  /** What this voter said in the round before, and what it hears of others. */
  own: Vote | undefined
  heard: Vote[]
  seed: number | undefined
}

export interface Hearing {
  question: string
  seen: Sensitivity | undefined
  votes: Vote[]
  seed: number | undefined
}

/** So long it waits to be let into the room, and for what was said there. The holder tells what does not come. */
const enterWithinMs = 1000
const sayWithinMs = 500
const hearWithinMs = 2000

/** Answers CastBallot under a voter's name. */
export const votes = (
  node: MeshNode,
  name: string,
  vote: (question: Question, context: Context) => Promise<Ballot> | Ballot,
) =>
  on(CastBallot, async ({ question, seen, round, own, heard, seed, room }, context) => {
    const asked = { question, seen, round, own, heard: await hear(node, room, heard, context), seed }
    const ballot = await vote(asked, context)
    const key = await say(node, room, name, round, ballot, context)
    return key ? { ...ballot, key } : ballot
  })

/** Answers JudgeDebate. */
export const judges = (node: MeshNode, judge: (hearing: Hearing, context: Context) => Promise<Ballot> | Ballot) =>
  on(JudgeDebate, async ({ question, seen, votes: cast, seed, room }, context) =>
    judge({ question, seen, votes: await hear(node, room, cast, context), seed }, context),
  )

/** Throws UNREACHABLE where something does not come: the one who asked tells it then. */
async function hear(
  node: MeshNode,
  name: string | undefined,
  heard: readonly (Vote | Opener)[],
  { sender, signal }: Context,
): Promise<Vote[]> {
  const closed = heard.filter((one): one is Opener => 'key' in one)
  if (closed.length === 0 || name === undefined) return heard.filter((one): one is Vote => 'answer' in one)
  const room = await node.room(name, sender.node, enterWithinMs)
  const opened = await read(room, closed, AbortSignal.any([signal, AbortSignal.timeout(hearWithinMs)]))
  if (opened.size < closed.length) {
    const missing = closed.filter((opener) => !opened.has(opener)).map(({ voter }) => voter)
    throw new ClawmeshError('UNREACHABLE', `What ${missing.join(', ')} said in the room of the debate has not come.`)
  }
  return heard.flatMap((one) => ('key' in one ? (opened.get(one) ?? []) : one))
}

async function read(room: Room, closed: readonly Opener[], signal: AbortSignal): Promise<Map<Opener, Vote>> {
  const opened = new Map<Opener, Vote>()
  for await (const { node, value } of room.subscribe(statementSchema, { signal, onLost: () => undefined })) {
    const opener = closed.find((one) => one.node === node && one.voter === value.voter && one.round === value.round)
    const vote = opener && openStatement(value, opener.key, room.id)
    if (vote) opened.set(opener, vote)
    if (opened.size === closed.length) break
  }
  return opened
}

/** The key to what was said; undefined where there was nothing to say, or no room to say it in. */
async function say(
  node: MeshNode,
  name: string | undefined,
  voter: string,
  round: number,
  { answer, confidence, reason }: Ballot,
  { sender, signal, deadline }: Context,
): Promise<Uint8Array | undefined> {
  if (answer === null || name === undefined) return undefined
  const room = await node.room(name, sender.node, sayWithinMs).catch(() => undefined)
  // Nobody waits for this vote any more, so nobody is to read it.
  if (!room || signal.aborted) return undefined
  const { statement, key } = closeStatement({ voter, answer, confidence, reason }, round, room.id)
  try {
    await room.publish(statement, { timeoutMs: Math.max(0, deadline - node.now()) })
    return key
  } catch {
    return undefined
  }
}
