/** Held actions at a terminal, as they come: one at a time, each until it is answered here or anywhere else. */
import { userInfo } from 'node:os'
import type { Interface } from 'node:readline/promises'
import { setTimeout } from 'node:timers/promises'
import type { MeshNode } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { approvalsName, DecideApproval, FollowApprovals } from '../../approvals/messages.js'
import type { Decision, View } from '../../approvals/question.js'
import { isTerminal, progress, question, sayAfter } from '../terminal.js'
import { headline, verdictLine } from './words.js'

export interface Answering {
  end(): void
}

/** How long a terminal takes to hand over what was typed before. */
const typedAheadMs = 100
const followMs = 24 * 60 * 60 * 1000
const againMs = 500
const whileMs = 15 * 60 * 1000

/** Who sits here, as far as this machine knows. */
export function personHere(): string {
  try {
    return `${userInfo().username} at a terminal`
  } catch {
    return 'somebody at a terminal'
  }
}

/** Asks the person who sits here what is held, of one task or of all, until it is ended. Where nobody sits at a terminal it only says what is held, and what came of it. */
export function answerAtTerminal(node: MeshNode, task?: string): Answering {
  const stop = new AbortController()
  const inbox = new Inbox(node, stop.signal)
  const take = isTerminal ? (view: View) => inbox.take(view) : sayOnce()
  followQuestions(node, task, stop.signal, take).catch((error: unknown) => progress(ClawmeshError.from(error).message))
  return { end: () => stop.abort() }
}

function sayOnce(): (view: View) => void {
  const said = new Set<string>()
  return (view) => {
    if (view.verdict) {
      if (said.delete(view.id)) progress(`${view.tool}: ${verdictLine(view)}`)
    } else if (!said.has(view.id)) {
      said.add(view.id)
      progress(`${headline(view)}; ${howToAnswer(view)}`)
    }
  }
}

function howToAnswer({ id, deadline }: View): string {
  const seconds = Math.max(0, Math.round((deadline - Date.now()) / 1000))
  return `refused in ${seconds} s unless somebody answers: \`clawmesh approve allow ${id}\``
}

/** Calls back for what is open, and for each change, until the signal; also over the death of whoever keeps the questions. */
export async function followQuestions(
  node: MeshNode,
  task: string | undefined,
  signal: AbortSignal,
  take: (view: View) => void,
): Promise<void> {
  const request = { after: 0, ...(task === undefined ? {} : { task }) }
  while (!signal.aborted) {
    try {
      const views = node.ref(approvalsName).stream(FollowApprovals, request, { signal, timeoutMs: followMs })
      for await (const view of views) take(view)
    } catch (error) {
      if (signal.aborted) return
      if (!ClawmeshError.from(error).retry) throw error
    }
    await setTimeout(againMs, undefined, { signal }).catch(() => undefined)
  }
}

class Inbox {
  readonly #node: MeshNode
  readonly #signal: AbortSignal
  readonly #open = new Map<string, View>()
  /** Here, and what came of it is not known yet. */
  readonly #answered = new Set<string>()
  #current: { id: string; closed: AbortController } | undefined

  constructor(node: MeshNode, signal: AbortSignal) {
    this.#node = node
    this.#signal = signal
  }

  take(view: View): void {
    if (!view.verdict) {
      this.#open.set(view.id, view)
      void this.#next()
      return
    }
    this.#open.delete(view.id)
    const isAsked = this.#current?.id === view.id
    if (isAsked) this.#current?.closed.abort()
    if (this.#answered.delete(view.id) || isAsked) progress(verdictLine(view))
  }

  async #next(): Promise<void> {
    if (this.#current) return
    const [view] = this.#open.values()
    if (!view) return
    const current = { id: view.id, closed: new AbortController() }
    this.#current = current
    try {
      // Straight before the question: an answer is to what stands above it.
      progress(headline(view))
      const decision = await askDecision(view, AbortSignal.any([this.#signal, current.closed.signal]))
      if (decision) {
        this.#open.delete(view.id)
        this.#answered.add(view.id)
        await this.#node.ref(approvalsName).ask(DecideApproval, { id: view.id, decision, by: personHere() })
      }
    } catch (error) {
      if (!this.#signal.aborted) progress(ClawmeshError.from(error).message)
    } finally {
      this.#current = undefined
    }
    if (!this.#signal.aborted) void this.#next()
  }
}

/** Undefined if the signal comes first. */
async function askDecision(view: View, signal: AbortSignal): Promise<Decision | undefined> {
  for (;;) {
    const seconds = Math.max(0, Math.round((view.deadline - Date.now()) / 1000))
    const typed = await sayAfter(() =>
      question(
        `  The policy does not grant it. Allow it? [y this once, s for this task, t for 15 minutes, N no, r nothing of this task; within ${seconds} s] `,
        signal,
        forgetTyped,
      ),
    )
    if (typed === undefined) return undefined
    const decision = decisionOf(typed)
    if (decision) return decision
    progress(`"${typed.trim()}" is none of these`)
  }
}

/** Undefined for another word: one that was mistyped is no refusal. */
function decisionOf(typed: string): Decision | undefined {
  const word = typed.trim().toLowerCase()
  if (word === 'y' || word === 'yes') return { answer: 'allow', reach: 'once' }
  if (word === 's') return { answer: 'allow', reach: 'session' }
  if (word === 't') return { answer: 'allow', reach: 'time', forMs: whileMs }
  if (word === 'r') return { answer: 'refuse', reach: 'session' }
  return ['', 'n', 'no'].includes(word) ? { answer: 'refuse', reach: 'once' } : undefined
}

/** What was typed before a question stood there, say a late answer to the one before it, is no answer to it. */
async function forgetTyped(terminal: Interface): Promise<void> {
  terminal.on('line', () => undefined)
  await setTimeout(typedAheadMs)
  terminal.write(null, { ctrl: true, name: 'u' })
}
