/** What came of a tool call, in words that the agent can go on from. Nothing that a tool does throws, but for the end of the task itself. */

import type { ToolCall } from '../../../inference/tool.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Label } from '../../../policies/router-label.js'
import { askOnRecord } from '../../../sandbox/approval.js'
import type { GeneralToolName } from '../../../sandbox/index.js'
import { questionsMs } from '../../../sandbox/patience.js'
import type { ActionOutcome } from '../../../sandbox/service.js'
import { act } from '../act.js'
import { portion } from '../authority.js'
import { callMcp, type McpTool } from '../mcp/tool.js'
import { routerOf, sensitivityOfCall } from '../model/privacy.js'
import { RunTask } from './event.js'
import type { Work } from './loop.js'
import { givenBy } from './own-tool.js'
import type { Delegate, FunctionTool, HeldTool, SandboxedTool } from './tool.js'

export interface Observation {
  status: 'done' | 'refused' | 'denied' | 'failed'
  text: string
  /** Who said it and how sensitive that is, where it is the word of a stranger. */
  said?: { by: string; label: Label } | undefined
  /** The end of the task: an agent that it was handed to has answered. */
  handed?: { output: unknown } | undefined
}

const longest = 16_384
const usualToolMs = 30_000
const deepest = 8

/** Throws CANCELLED when the task was called off. */
export async function observe(work: Work, call: ToolCall): Promise<Observation> {
  const { able, assignment } = work
  const { signal } = assignment.context
  try {
    const tool = able.tools.get(call.name)
    if (!tool) return { status: 'failed', text: `There is no tool ${call.name}.` }
    const held = await holdBack(work, call)
    if (held) return held
    const observation = await used(work, tool, call)
    return { ...observation, text: observation.text.slice(0, longest) }
  } catch (error) {
    if (signal.aborted) throw error
    const { code, message } = ClawmeshError.from(error)
    return { status: code === 'DENIED' ? 'denied' : 'failed', text: message }
  }
}

function used(work: Work, tool: HeldTool, call: ToolCall): Promise<Observation> {
  if (tool.kind === 'own') return callOwn(work, { runs: 'in-process', call: tool.call }, call)
  if (tool.kind === 'memory')
    return callOwn(work, { runs: 'memory', call: (args) => tool.use(args, runOf(work)) }, call)
  if (tool.kind === 'delegate') return hand(work, tool, call)
  if (tool.kind === 'function') return ofFunction(work, tool, call)
  return tool.kind === 'mcp' ? ofServer(work, tool, call) : inSandbox(work, tool, call)
}

/** @param more what it may take beside its own time, in milliseconds */
const toolDeadline = ({ node, able, deadline }: Work, more = 0): number =>
  Math.min(deadline, node.now() + (able.toolMs ?? usualToolMs) + more)

async function inSandbox(work: Work, { reaches }: SandboxedTool, call: ToolCall): Promise<Observation> {
  const { outcome, kept } = await actOn(work, reaches, call)
  const words = outcome.status === 'done' ? wordsOf(outcome.result) : outcome.reason
  // A program only sees that it cannot connect.
  const text = kept ? `${words}\n(It had no network: ${kept}.)` : words
  const said =
    call.name === 'http_fetch' && outcome.status === 'done' ? { by: String(call.arguments['url']), label } : undefined
  return { status: outcome.status, text, ...(said ? { said } : {}) }
}

/** A function of the agent's own, as a program in the sandbox. */
async function ofFunction(work: Work, tool: FunctionTool, call: ToolCall): Promise<Observation> {
  const node = 'node' satisfies GeneralToolName
  const { outcome } = await actOn(work, true, { name: node, arguments: tool.program(call.arguments) }, null)
  if (outcome.status !== 'done') return { status: outcome.status, text: outcome.reason }
  const given = givenBy(outcome.result)
  if ('why' in given) return { status: 'failed', text: given.why }
  return { status: 'done', text: typeof given.value === 'string' ? given.value : JSON.stringify(given.value) }
}

interface Acted {
  outcome: ActionOutcome | { status: 'denied'; reason: string }
  /** Why it had no network. */
  kept: string | undefined
}

/** `reaches`: it may use a network, where what the agent has seen may leave. `workspace`: null where it is about no files. */
async function actOn(work: Work, reaches: boolean, call: ToolCall, workspace?: null): Promise<Acted> {
  const { signal, trace, grant } = work.assignment.context
  const router = await routerOf(work.node)
  const brings = sensitivityOfCall(router.rules, call)
  if (brings) work.session.raise(brings)
  const stays = reaches ? await keptHere(work, call) : undefined
  const kept = stays && `by the rule ${stays} nothing that this agent has seen leaves the mesh`
  if (kept && call.name === ('http_fetch' satisfies GeneralToolName))
    return { outcome: { status: 'denied', reason: `${kept}, and an address could carry it` }, kept: undefined }
  // What a person thinks it over for is not the tool's.
  const options = { signal, trace, grant, deadline: toolDeadline(work, questionsMs) }
  const about = workspace === undefined ? work.journal.workspace : workspace
  const { outcome } = await act(work.node, call, options, { workspace: about, network: !kept })
  return { outcome, kept }
}

/** Of what comes from a network: what is in it counts as well, once it is in a prompt. */
const label = 'INTERNAL' as const

/** The rule that keeps here what the agent has seen, with the words of this call; undefined where all of it may leave as it is. */
async function keptHere({ node, session, assignment }: Work, call: ToolCall): Promise<string | undefined> {
  const router = await routerOf(node)
  const request = { messages: [{ role: 'assistant' as const, content: JSON.stringify(call.arguments) }], maxTokens: 1 }
  const asker = { roles: node.roles, actor: assignment.name, trace: assignment.context.trace }
  const { decision } = await router.judge(session, request, asker)
  return decision.effect === 'allow' ? undefined : decision.rule
}

/** What there is to read, where that is more than the summary. */
const wordsOf = ({ summary, text }: { summary: string; text?: unknown }): string =>
  typeof text === 'string' && text !== '' ? text : summary

/** Recorded where the server runs. */
async function ofServer(work: Work, tool: McpTool, call: ToolCall): Promise<Observation> {
  const { signal, trace, grant } = work.assignment.context
  const options = { signal, trace, grant, deadline: toolDeadline(work), seen: work.session.sensitivity }
  const { status, text, label } = await callMcp(work.node, tool, call.arguments, options)
  work.session.raise({ label, categories: [] })
  return { status, text, said: { by: `mcp/${tool.server}`, label } }
}

/** The agent's own policy, before that of the sandbox. Nobody there, or no answer in time, is a refusal. */
async function holdBack({ node, able, assignment, deadline }: Work, call: ToolCall): Promise<Observation | undefined> {
  const rule = able.policy?.[call.name] ?? 'allow'
  // Of an interruption, a person has answered before.
  if (rule === 'allow' || rule === 'interrupt') return undefined
  if (rule === 'refuse') return { status: 'denied', text: `the agent's policy does not let it use ${call.name}` }
  const { signal, trace } = assignment.context
  const missing = [{ kind: 'execute' as const, path: `tool:${call.name}` }]
  const question = { tool: call.name, args: call.arguments, missing, workspace: '' }
  const { answer, by } = await askOnRecord(node, question, { trace, actor: assignment.name, signal, deadline })
  signal.throwIfAborted()
  return answer === 'allow' ? undefined : { status: 'refused', text: `${call.name} was not allowed, by ${by}` }
}

interface Callable {
  runs: 'in-process' | 'memory'
  call: (args: Record<string, unknown>, signal: AbortSignal) => Promise<unknown>
}

const runOf = ({ session, assignment: { name, context } }: Work) => ({
  session,
  source: `${name}, task ${context.trace}`,
})

/** In this process: it cannot be killed, so one that does not return is left behind. */
async function callOwn(work: Work, tool: Callable, call: ToolCall): Promise<Observation> {
  const { node, assignment } = work
  const { signal, trace } = assignment.context
  const record = { trace, actor: assignment.name }
  const facts = { tool: call.name, args: call.arguments, runs: tool.runs }
  await node.audit.intend({ kind: 'action.intended', ...record, facts })
  const withinMs = Math.max(0, toolDeadline(work) - node.now())
  const ended = await within(withinMs, signal, (until) => tool.call(call.arguments, until)).then(
    (result): Observation => ({
      status: 'done',
      text: typeof result === 'string' ? result : JSON.stringify(result ?? null),
    }),
    (error: unknown): Observation => ({ status: 'failed', text: ClawmeshError.from(error).message }),
  )
  await node.audit.record({ kind: 'action.ended', ...record, facts: { ...facts, outcome: { ...ended } } })
  signal.throwIfAborted()
  return ended
}

async function within<T>(ms: number, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController()
  const until = AbortSignal.any([signal, late.signal])
  const timer = setTimeout(
    () => late.abort(new ClawmeshError('DEADLINE', `It did not return within ${Math.round(ms)} ms.`)),
    ms,
  )
  try {
    return await new Promise<T>((resolve, reject) => {
      until.addEventListener('abort', () => reject(until.reason), { once: true })
      work(until).then(resolve, reject)
    })
  } finally {
    clearTimeout(timer)
  }
}

/** To another agent, with a part of what is left. A task never comes back to somebody who waits for it. */
async function hand(work: Work, delegate: Delegate, call: ToolCall): Promise<Observation> {
  const { agent, share, hands, tools, folders } = delegate
  const { node, assignment, allowance, wallet, session, deadline } = work
  const { signal, trace, grant } = assignment.context
  const path = [...assignment.path, assignment.name]
  if (path.includes(agent))
    return { status: 'denied', text: `the task would go round in a circle: ${[...path, agent].join(' → ')}` }
  if (path.length >= deepest) return { status: 'denied', text: `the task was handed on ${path.length} times already` }
  const task = delegate.task(call.arguments)
  const reservation = allowance.setAside(Math.floor(allowance.left * share))
  if (!reservation || reservation.amount === 0) return { status: 'denied', text: 'no tokens are left to give it' }
  const coins = wallet?.allowance.setAside(wallet.allowance.left * share)
  const money = coins === undefined ? {} : { money: coins.amount }
  const record = { trace, actor: assignment.name }
  const facts = { tool: call.name, args: call.arguments, agent, hands, ...money, tokens: reservation.amount }
  const most = { tokens: reservation.amount, ms: Math.max(0, deadline - node.now()), ...money }
  const booked = await work.journal.reserve(`task for ${agent}`, most)
  let bill: number | null = null
  let cost: number | null = null
  try {
    await node.audit.intend({ kind: 'action.intended', ...record, facts })
    const budget = { tokens: reservation.amount, ms: Math.max(1, deadline - node.now()), ...money }
    const { sensitivity: seen } = session
    const entrust = portion(grant, { tools, folders, tokens: reservation.amount })
    const options = { signal, trace, deadline, grant, entrust }
    const events = node.ref(agent).stream(RunTask, { task, budget, path, seen }, options)
    for await (const event of events) {
      if (event.type !== 'ended') continue
      const { by, answer, output, reason, tokens } = event.result
      session.raise(event.result.seen)
      bill = Math.min(tokens, reservation.amount)
      cost = event.result.money
      await node.audit.record({ kind: 'action.ended', ...record, facts: { ...facts, outcome: { by, reason }, bill } })
      if (by !== 'answer') return { status: 'failed', text: `${agent}: ${reason}` }
      return { status: 'done', text: answer, ...(hands ? { handed: { output } } : {}) }
    }
    return { status: 'failed', text: `${agent} ended without a result` }
  } finally {
    reservation.settle(bill)
    coins?.settle(cost === null ? null : Math.min(cost, coins.amount))
    await booked(bill, cost === null || !coins ? undefined : Math.min(cost, coins.amount))
  }
}
