/**
 * How the product thinks: every question to a model goes through `think`. It is judged by the rules of the mesh, goes to a model that they let see it, and
 * what it used is on the audit trail.
 *
 * 1. A prompt goes nowhere before it has been read and the decision is on record; what cannot be read goes nowhere.
 * 2. What is asked again is chosen again from the same decision: no retry, and no model that is lost, takes a prompt where it may not go.
 */
import { setTimeout } from 'node:timers/promises'
import {
  type Answer,
  collect,
  type GenerateEvent,
  type GenerateRequest,
  type ModelInfo,
  type Usage,
} from '../../inference/backend.js'
import { DescribeModel, Generate, inferenceName } from '../../inference/service.js'
import type { CallOptions, Grant, MeshNode } from '../../mesh/index.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { RouteDecision } from '../../policies/router.js'
import { choose, type Zone } from '../../router/route.js'
import type { RouterSession } from '../../router/session.js'
import { AskElsewhere, elsewhereName, holderOf } from '../elsewhere.js'
import { chooseNode } from '../process/placing.js'
import { recordUse } from './costs.js'
import { routerOf } from './privacy.js'
import { StopWords } from './stop-words.js'

/** Stands for a model elsewhere where the rules let the prompt leave, and for one of the mesh where they do not. */
export const auto = 'auto'

export interface Thinking {
  /** The model that must be asked, or `auto`. Left out: any of the mesh, and one elsewhere only where the mesh has none. */
  model?: string | undefined
  /** What the line of work has seen; rises with the request. */
  session: RouterSession
  /** Who asks, as the audit trail names it. */
  actor: string
  deadline: number
  signal: AbortSignal
  trace: string
  /** What the asker records of the question: in one breath with the decision, and so at the cost of one sync. No model is asked before both are on disk. */
  noteAsked?: () => Promise<void>
  /** The same of the answer, in one breath with what it used. */
  noteAnswered?: (answer: Answer) => Promise<void>
  /** Is given what is still being written to disk when the answer is whole, for who goes on meanwhile; without it, it is waited for. */
  onRecording?: (recording: Promise<unknown>) => void
  /** Under which it is asked, where this node has no right of its own to do so. */
  grant?: Grant | undefined
  /** Is told the model that is asked, each time. */
  onModel?: (model: string) => void
  /** The answer ends before the first of these, and so does the generation; what it used is then not known. */
  stop?: readonly string[] | undefined
  /** Sees each event of the answer as it comes; the next one waits for it. */
  onEvent?: (event: GenerateEvent) => unknown
  /** Whether what was lost on the way may be asked again now; it may, if left out. */
  again?: () => boolean
}

const againMs = 150

/**
 * The model's answer. Thinking changes nothing, so what was lost on the way (a process that died, a node that went) is asked again until the deadline.
 *
 * Throws DENIED or UNREACHABLE where no model may be asked, MODEL_FAILED for an answer that cannot be used, and what a model throws.
 */
export async function think(node: MeshNode, request: GenerateRequest, thinking: Thinking): Promise<Answer> {
  const { session, actor, deadline, signal, trace, model, noteAsked, again = () => true } = thinking
  const router = await routerOf(node)
  const [{ decision }] = await Promise.all([
    router.judge(session, request, { roles: node.roles, actor, trace }),
    noteAsked?.(),
  ])
  const characters = request.messages.reduce((sum, { content }) => sum + content.length, 0)
  for (;;) {
    try {
      return await askOnce(node, chooseModel(node, decision, model, characters), request, thinking)
    } catch (error) {
      const failure = ClawmeshError.from(error)
      // An answer that cannot be used is the caller's to judge: asking in the same words would hardly mend it.
      const isLost = failure.retry && failure.code !== 'MODEL_FAILED' && failure.code !== 'DEADLINE'
      if (!isLost || !again() || node.now() + againMs > deadline) throw failure
      await setTimeout(againMs, undefined, { signal })
    }
  }
}

/** What is known of the model that `think` would ask. */
export async function describeModel(
  node: MeshNode,
  model: string | undefined,
  options: CallOptions,
): Promise<ModelInfo> {
  const preferred = inOrder(named(candidates(node), model), model)
  // Any model of the mesh will do as well as another.
  const first = preferred[0]?.zone === 'mesh' ? drawn(preferred.filter(({ zone }) => zone === 'mesh')) : preferred[0]
  if (first?.holder === undefined) return node.ref(inferenceName(first?.name ?? '')).ask(DescribeModel, null, options)
  return {
    name: first.model,
    digest: null,
    backend: `elsewhere:${first.holder}`,
    context: null,
    purpose: 'asked elsewhere, where the router rules let a prompt leave',
    limits: 'its provider says',
  }
}

export const tokensOf = (usage: Usage | null): number | null => usage && usage.promptTokens + usage.outputTokens

/** Names of the models that can be asked now, each once; those elsewhere as `provider/model`. */
export function servedModels(node: MeshNode): string[] {
  return [...new Set(candidates(node).map(({ model }) => model))].sort()
}

export interface Candidate {
  /** The node of a model of the mesh; `provider/model` of one elsewhere. */
  name: string
  model: string
  zone: Zone
  /** The node that holds the key. */
  holder?: string
}

async function askOnce(
  node: MeshNode,
  { name, model, zone, holder }: Candidate,
  request: GenerateRequest,
  { session, actor, deadline, signal, trace, grant, noteAnswered, onRecording, onModel, onEvent, stop = [] }: Thinking,
): Promise<Answer> {
  const options = { deadline, signal, trace, grant }
  const events =
    holder === undefined
      ? node.ref(inferenceName(name)).stream(Generate, request, options)
      : node
          .ref(elsewhereName(holder))
          .stream(AskElsewhere, { model, request, seen: session.sensitivity, actor }, options)
  onModel?.(model)
  const begun = node.now()
  let hasBegun = false
  let answer: Answer | undefined
  try {
    answer = await collect(
      watched(endedBy(stop, events), (event) => {
        hasBegun = true
        return onEvent?.(event)
      }),
    )
    return answer
  } finally {
    const used = { trace, actor, model, zone, usage: answer?.usage ?? null, seconds: (node.now() - begun) / 1000 }
    // A model of the mesh that was never reached has cost nothing; of one elsewhere nobody knows.
    if (hasBegun || zone === 'elsewhere') {
      const recording = Promise.all([recordUse(node, used), answer && noteAnswered?.(answer)])
      if (answer && onRecording) onRecording(recording)
      else await recording
    }
  }
}

/** The model that the decision lets see the prompt, of the mesh the one that will likely answer soonest. */
function chooseModel(
  node: MeshNode,
  decision: RouteDecision,
  model: string | undefined,
  characters: number,
): Candidate {
  const all = candidates(node)
  // One elsewhere is asked by the holder of its key alone, whatever a node is called.
  const allowed = inOrder(
    permitted(all, decision, named(all, model)).filter(({ zone, holder }) => zone === 'mesh' || holder !== undefined),
    model,
  )
  const [first] = allowed
  if (!first || first.zone === 'elsewhere') return first ?? unreachable(model, [])
  const here = allowed.filter(({ zone }) => zone === 'mesh')
  const names = new Set(here.map(({ name }) => name))
  const able = node.nodes().filter(({ name }) => names.has(name))
  const soonest = chooseNode(able, ['mesh'], characters)
  return here.find(({ name }) => name === soonest) ?? drawn(here)
}

/** Those of `able` that the decision lets see the prompt; `all`: whatever can be asked. Throws DENIED if none may. */
export function permitted(all: readonly Candidate[], decision: RouteDecision, able: readonly Candidate[]): Candidate[] {
  // In a mesh with no way out nothing is to be kept from one: the decision is on record, and that is all.
  const isClosed = all.every(({ holder }) => holder === undefined)
  return choose(isClosed && decision.effect === 'block' ? { ...decision, effect: 'local' } : decision, able)
}

/** Those of this name. Throws UNREACHABLE if there are none. */
function named(all: readonly Candidate[], model: string | undefined): Candidate[] {
  const able = all.filter((candidate) => model === undefined || model === auto || candidate.model === model)
  return able.length > 0 ? able : unreachable(model, all)
}

/** Models of the mesh first, unless `auto` was asked for. */
function inOrder(able: readonly Candidate[], model: string | undefined): Candidate[] {
  const first: Zone = model === auto ? 'elsewhere' : 'mesh'
  return able.toSorted((a, b) => Number(b.zone === first) - Number(a.zone === first))
}

const drawn = (able: readonly Candidate[]): Candidate =>
  able[Math.floor(Math.random() * able.length)] ?? unreachable(undefined, [])

function unreachable(model: string | undefined, all: readonly Candidate[]): never {
  if (model === undefined || model === auto || all.length === 0) {
    throw new ClawmeshError('UNREACHABLE', 'No node in the mesh serves a model.', {
      hint: 'Start a node with the role inference.',
    })
  }
  throw new ClawmeshError('UNREACHABLE', `No node in the mesh serves the model "${model}".`, {
    hint: `Served now: ${[...new Set(all.map((each) => each.model))].sort().join(', ')}.`,
  })
}

/** A node that does not say where its model computes has none in the mesh, and without a key no model elsewhere is asked. */
export function candidates(node: MeshNode): Candidate[] {
  const here = node.nodes().flatMap(({ name, roles, draining, advert: { model, zone } }): Candidate[] => {
    if (!roles.includes('inference') || draining || typeof model !== 'string') return []
    return [{ name, model, zone: zone === 'mesh' ? 'mesh' : 'elsewhere' }]
  })
  const elsewhere = holderOf(node)
  const there = (elsewhere?.models ?? []).map(
    (model): Candidate => ({ name: model, model, zone: 'elsewhere', holder: elsewhere?.holder ?? '' }),
  )
  return [...here, ...there]
}

async function* endedBy(words: readonly string[], events: AsyncIterable<GenerateEvent>): AsyncIterable<GenerateEvent> {
  if (words.length === 0) return yield* events
  const stop = new StopWords(words)
  for await (const event of events) {
    const { text, over } = event.type === 'token' ? stop.push(event.text) : { text: '', over: false }
    const rest = event.type === 'done' ? stop.end() : text
    if (rest !== '') yield { type: 'token', text: rest }
    if (over) return yield { type: 'done', reason: 'stop', usage: null }
    if (event.type !== 'token') yield event
  }
}

async function* watched(events: AsyncIterable<GenerateEvent>, onEvent: Thinking['onEvent']) {
  for await (const event of events) {
    await onEvent?.(event)
    yield event
  }
}
