/**
 * The one way by which an MCP client has anything done: the audit stream has who asks for what, then it is done, then the stream has what came of it. Whatever is done may tell the
 * client how far it is, and ask it.
 */
import { randomUUID } from 'node:crypto'
import {
  type InputRequest,
  type InputRequiredResult,
  inputRequired,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { z } from 'zod'
import type { MeshNode } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { People } from '../../../policies/people.js'
import { routerOf } from '../../agents/model/privacy.js'
import { type Elicit, elicitedSchema, type Sample, type Sampled, sampleSchema } from '../../catalog/content.js'
import type { DataSubject } from '../../data-subject.js'
import type { Principal } from '../http/keys.js'
import type { Offered, Use } from './offered.js'
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

/** How the caller can be asked: what it said it can do, and how it is done in the protocol that it speaks. */
export interface Reach {
  can: 'elicitation' | 'sampling'
  request: InputRequest
}

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
      : (done: number, total: number | undefined, message: string | undefined) => {
          const more = { ...(total === undefined ? {} : { total }), ...(message === undefined ? {} : { message }) }
          const params = { progressToken, progress: done, ...more }
          // What cannot be told is not missed: the answer follows.
          return notify({ method: 'notifications/progress', params }).catch(() => undefined)
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
    log: (level, data) => log(level, data, 'clawmesh').catch(() => undefined),
    elicit: async (question) => elicitedSchema.parse(await reach(elicitation(question))),
    sample: async (question) => {
      await mayLeave(node, question, trace)
      return sampledOf(await reach(sampling(question)))
    },
  }
}

/** In the protocol of 2025: a request of the server, answered while its own is still open. */
async function pushed({ mcpReq }: ServerContext, request: InputRequest, timeout: number): Promise<unknown> {
  try {
    const options = { timeout, signal: mcpReq.signal }
    if (request.method === 'elicitation/create') return await mcpReq.elicitInput(request.params, options)
    if (request.method === 'sampling/createMessage') return await mcpReq.requestSampling(request.params, options)
  } catch (cause) {
    throw new ClawmeshError('USAGE', `The client did not answer: ${(cause as Error).message.slice(0, 300)}`, { cause })
  }
  throw new ClawmeshError('INTERNAL', `Nobody asks a client for ${request.method}.`)
}

const elicitation = ({ message, form }: Elicit): Reach => ({
  can: 'elicitation',
  // That a client can show such a form is the matter of whoever wrote it: what is no form the SDK refuses.
  request: inputRequired.elicit({ mode: 'form', message, requestedSchema: form as never }),
})

function sampling(question: Sample): Reach {
  const { messages, system, maxTokens } = sampleSchema.parse(question)
  return {
    can: 'sampling',
    request: inputRequired.createMessage({
      messages: messages.map(({ role, text }) => ({ role, content: { type: 'text', text } })),
      maxTokens,
      ...(system === undefined ? {} : { systemPrompt: system }),
    }),
  }
}

const textSchema = z.object({ type: z.literal('text'), text: z.string() })
const answerSchema = z.object({ model: z.string(), content: z.union([textSchema, z.array(textSchema).min(1)]) })

function sampledOf(answer: unknown): Sampled {
  const { model, content } = answerSchema.parse(answer)
  return {
    model,
    text: [content]
      .flat()
      .map(({ text }) => text)
      .join('\n'),
  }
}

/** Nobody knows where the model of a client is: what is asked of it leaves the mesh. Throws DENIED where it may not leave as it is. */
async function mayLeave(node: MeshNode, question: Sample, trace: string): Promise<void> {
  const { messages, system, maxTokens } = sampleSchema.parse(question)
  const router = await routerOf(node)
  const first = system === undefined ? [] : [{ role: 'system' as const, content: system }]
  const said = messages.map(({ role, text }) => ({ role, content: text }))
  const asker = { roles: node.roles, actor: 'mcp', trace }
  const { decision } = await router.judge(router.open(trace), { messages: [...first, ...said], maxTokens }, asker)
  if (decision.effect === 'allow') return
  throw new ClawmeshError(
    'DENIED',
    `By the rule ${decision.rule} this may not be asked of a model outside of the mesh.`,
  )
}
