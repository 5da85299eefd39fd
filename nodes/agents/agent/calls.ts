/**
 * Makes the calls of one thought.
 *
 * 1. What a person has to be asked of is asked first, all of it, so that nobody waits for an answer to see the next question.
 * 2. A call is made as soon as it may be, whatever the others wait for: answers come in any order, and one that comes while another call is made counts at once.
 * 3. Calls are made one after the other, in their order, so that each knows what is left of the budget.
 */
import type { ToolCall } from '../../../inference/tool.js'
import { type Place, questionOf } from './journal.js'
import type { Work } from './loop.js'
import { type Observation, observe } from './observe.js'

export interface CallsMade {
  /** By the places of the calls; undefined of those that were not made. */
  observations: (Observation | undefined)[]
  /** Those that a person has not answered. */
  waiting: ToolCall[]
  /** The name of the one that was made last. */
  last: string
}

/** Those that are left when the time of the task is over are not made. */
export async function makeCalls(work: Work, step: number, calls: readonly ToolCall[]): Promise<CallsMade> {
  const { node, deadline, assignment } = work
  const observations = new Array<Observation | undefined>(calls.length).fill(undefined)
  let last = calls[0]?.name ?? ''
  for (const call of calls) assignment.say({ type: 'acting', step, call })
  for (;;) {
    const waiting: ToolCall[] = []
    const free: { index: number; call: ToolCall; refusal: Observation | undefined }[] = []
    for (const [index, call] of calls.entries()) {
      if (observations[index]) continue
      const word = await wordOn(work, { step, index }, call, calls.length > 1)
      if (word === 'waits') waiting.push(call)
      else free.push({ index, call, refusal: word })
    }
    for (const { index, call, refusal } of free) {
      if (node.now() >= deadline) return { observations, waiting, last }
      last = call.name
      const observation = refusal ?? (await made(work, { step, index }, call))
      observations[index] = observation
      const { handed: _, ...seen } = observation
      assignment.say({ type: 'observed', step, tool: call.name, ...seen })
    }
    if (waiting.length === 0 || free.length === 0) return { observations, waiting, last }
  }
}

/** Nothing where the call may be made, why it is not, or that a person has to answer first. */
async function wordOn(
  { node, able, assignment, journal }: Work,
  place: Place,
  call: ToolCall,
  isOneOfSeveral: boolean,
): Promise<'waits' | Observation | undefined> {
  const tool = able.tools.get(call.name)
  if (isOneOfSeveral && tool?.kind === 'delegate' && tool.hands)
    return { status: 'denied', text: 'a task is handed over by a call of its own, without others beside it' }
  if (able.policy?.[call.name] !== 'interrupt') return undefined
  const missing = [{ kind: 'execute', path: `tool:${call.name}` }]
  const facts = { question: questionOf(place, call), tool: call.name, args: call.arguments, missing }
  const held = { kind: 'action.held', trace: assignment.context.trace, actor: assignment.name, facts } as const
  const person = await journal.answer(place, call, () => node.audit.record(held))
  if (!person) return 'waits'
  return person.answer === 'allow'
    ? undefined
    : { status: 'refused', text: `${call.name} was not allowed, by ${person.by}` }
}

function made(work: Work, place: Place, call: ToolCall): Promise<Observation> {
  const tool = work.able.tools.get(call.name)
  const repeatable =
    tool?.kind === 'memory' || ((tool?.kind === 'sandboxed' || tool?.kind === 'function') && tool.repeatable)
  return work.journal.action(place, work.allowance, { call, repeatable }, async () => {
    // What is handed on is set aside with what it may take of tokens.
    if (tool?.kind === 'delegate') return observe(work, call)
    const most = { tokens: 0, ms: Math.max(0, work.deadline - work.node.now()) }
    const bill = await work.journal.reserve(`action ${place.step}: ${call.name}`, most)
    try {
      return await observe(work, call)
    } finally {
      await bill(0)
    }
  })
}
