/**
 * The one way by which an MCP client has anything done: the audit stream has who asks for what, then it is done, then the stream has what came of it. Whatever is done may tell the
 * client how far it is, and ask it.
 */
import { randomUUID } from 'node:crypto'
import {
  type InputRequiredResult,
  inputRequired,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
} from '@modelcontextprotocol/server'
import type { MeshNode } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { People } from '../../../policies/people.js'
import { elicitedSchema } from '../../catalog/content.js'
import type { DataSubject } from '../../data-subject.js'
import type { Principal } from '../http/keys.js'
import type { Offered, Use } from './offered.js'
import { elicitation, mayLeave, pushed, type Reach, readAnswer, sampledOf, sampling } from './reach.js'
import type { Ask, Talks } from './talk.js'

export interface Serving {
  node: MeshNode
  /** What there is now. */
  offered: () => Promise<Offered>
  talks: Talks
  principal: Principal
  /** The policies that say what he may, as they are now. */
  people: () => People
  /** Awaited before they decide on a use: the trail has them first. */
  settled?: () => Promise<void>
  /** Is told what he was refused, and why. */
  refused: (why: string) => void
  /** Whom it is about what he asks for. */
  subject: DataSubject | undefined
  /** Milliseconds that one use may take. */
  answerMs: number
  /** Nobody will hear the answer. */
  closing: AbortSignal
}

/** What is used, as the trail says it: one of the three, by its name. */
export type What = { tool: string } | { resource: string } | { prompt: string }

export interface Asking {
  what: What
  /** The policies that let him. */
  by: readonly string[]
  /** What it is used with. */
  args?: unknown
  /** Milliseconds; `answerMs` if left out. */
  withinMs?: number
}

/** Characters of what is asked with: it stands on the trail. */
export const longest = 65_536

const askIdentifier = 'ask'

/** Throws what it ended in, as a ClawmeshError; what is asked for with too much, MESSAGE_INVALID. */
export async function used<T>(
  serving: Serving,
  asking: Asking,
  { context, era, can }: { context: ServerContext; era: 'legacy' | 'modern'; can: (what: Reach['can']) => boolean },
  does: (use: Use) => Promise<T>,
): Promise<T | InputRequiredResult> {
  const { principal, talks, closing } = serving
  const { mcpReq, http } = context
  const signal = AbortSignal.any([mcpReq.signal, ...(http?.req ? [http.req.signal] : [])])
  const topic = { key: principal.name, about: JSON.stringify(asking.what) }
  const state = mcpReq.requestState<string>()
  const known = typeof state === 'string' ? talks.of(state, topic) : undefined
  if (typeof state === 'string' && !known)
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'Nobody waits for this answer any more: ask anew.')
  const withinMs = asking.withinMs ?? serving.answerMs
  const talk =
    known?.answered(mcpReq.inputResponses?.[askIdentifier]) ??
    talks.begin(topic, withinMs, closing, (park, until) =>
      onRecord(serving, asking, (trace) => {
        const ask: Ask = era === 'modern' ? park : (request) => pushed(context, request, withinMs)
        return does(useOf(serving, context, { trace, signal: until, withinMs, ask, can }))
      }),
    )
  const turn = await talk.next(signal)
  if ('done' in turn) return turn.done as T
  return inputRequired({ inputRequests: { [askIdentifier]: turn.asks }, requestState: turn.state })
}

async function onRecord<T>(
  { node, principal, subject }: Serving,
  { what, by, args }: Asking,
  does: (trace: string) => Promise<T>,
): Promise<T> {
  const trace = randomUUID()
  subject?.file(trace)
  const note = (kind: 'gateway.asked' | 'gateway.answered', facts: Record<string, unknown>) =>
    node.note(kind, { key: principal.name, ...what, ...facts }, trace, 'mcp')
  const characters = args === undefined ? 0 : JSON.stringify(args).length
  const asked = args === undefined ? {} : characters > longest ? { characters } : { args }
  await note('gateway.asked', { role: principal.role, policies: by, ...asked })
  try {
    if (characters > longest)
      throw new ClawmeshError('MESSAGE_INVALID', `The arguments have ${characters} characters, of ${longest} at most.`)
    const done = await does(trace)
    await note('gateway.answered', { status: 'done' })
    return done
  } catch (error) {
    await note('gateway.answered', { status: 'failed', error: ClawmeshError.from(error).code })
    throw error
  }
}

interface Course {
  trace: string
  signal: AbortSignal
  withinMs: number
  ask: Ask
  can: (what: Reach['can']) => boolean
}

function useOf(
  { node, principal, subject }: Serving,
  { mcpReq }: ServerContext,
  { trace, signal, withinMs, ask, can }: Course,
): Use {
  const { _meta, notify, log } = mcpReq
  const progressToken = _meta?.progressToken
  const progress =
    progressToken === undefined
      ? undefined
      : async (done: number, total: number | undefined, message: string | undefined) => {
          const more = { ...(total === undefined ? {} : { total }), ...(message === undefined ? {} : { message }) }
          const params = { progressToken, progress: done, ...more }
          // What cannot be told is not missed: the answer follows.
          await notify({ method: 'notifications/progress', params }).catch(() => undefined)
        }
  const reach = async ({ can: what, request }: Reach): Promise<unknown> => {
    if (can(what)) return ask(request)
    throw new ClawmeshError('USAGE', `The client of ${principal.name} offers no ${what}.`, {
      hint: 'It has to say so when it connects, and in the protocol of 2025 it has to have a session.',
    })
  }
  return {
    trace,
    signal,
    subject,
    by: principal.name,
    deadline: node.now() + withinMs,
    progress,
    log: async (level, data) => {
      await log(level, data, 'clawmesh').catch(() => undefined)
    },
    elicit: async (question) => readAnswer(elicitedSchema, await reach(elicitation(question))),
    sample: async (question) => {
      await mayLeave(node, question, trace)
      return sampledOf(await reach(sampling(question)))
    },
  }
}
