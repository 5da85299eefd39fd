/**
 * How the product thinks: every question to a model goes through `think`. It is judged by the rules of the mesh, goes to a model that they let see it, and
 * what it used is on the audit trail.
 *
 * 1. A prompt goes nowhere before it has been read and the decision is on record; what cannot be read goes nowhere.
 * 2. What is asked again is chosen again from the same decision: no retry, and no model that is lost, takes a prompt where it may not go.
 * 3. An answer that was begun is gone on with by the very same model, behind the last event that was delivered: nothing is lost or said twice. And what was asked in
 *    the mesh once is never asked elsewhere instead, whatever the rules would let it.
 */

import { z } from 'zod'
import type { Answer, GenerateEvent, GenerateRequest, ModelInfo, Usage } from '../../../inference/backend.js'
import { type ModelOffer, offerSchema } from '../../../inference/place.js'
import { DescribeModel, Generate, inferenceName } from '../../../inference/service.js'
import { allows, type CallOptions, type Grant, type MeshNode, type NodeInfo } from '../../../mesh/index.js'
import type { Advert } from '../../../mesh/membership.js'
import { pause } from '../../../mesh/task/pause.js'
import { inOrder } from '../../../policies/complexity.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { preferenceOf } from '../../../policies/preference.js'
import type { RouteDecision } from '../../../policies/router.js'
import { isUnanswered } from '../../../router/egress/unanswered.js'
import { type Kept, keptBy } from '../../../router/kept.js'
import { weightOf } from '../../../router/request.js'
import { choose, type Zone } from '../../../router/route.js'
import type { RouterSession } from '../../../router/session.js'
import { AskElsewhere, elsewhereName, elsewhereOf } from '../../elsewhere.js'
import { placeAmong } from '../../process/placing.js'
import { blocksOf, sentBy } from '../../process/sent.js'
import { recordUse, type Use } from './costs.js'
import { routerOf } from './privacy.js'
import { Telling } from './telling.js'

/** Stands for a model elsewhere where the rules let the prompt leave, and for one of the mesh where they do not. */
export const auto = 'auto'

export interface Thinking {
  /** The model that must be asked, or `auto`. Left out: any of the mesh, and one elsewhere only where the mesh has none. */
  model?: string | undefined
  /** Of whatever `model` leaves open, these alone: those that the asker was let ask. A model that comes into the mesh meanwhile is none of them. */
  among?: readonly string[] | undefined
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
  /** Is told what each question used, as it is recorded. */
  onUse?: (use: Pick<Use, 'model' | 'zone' | 'usage' | 'seconds'>) => void
  /** Is told the model that is asked, each time. */
  onModel?: (model: string) => void
  /** The answer ends before the first of these, and so does the generation; what it used is then not known. */
  stop?: readonly string[] | undefined
  /** Sees each event of the answer as it comes; the next one waits for it. */
  onEvent?: (event: GenerateEvent) => unknown
  /** Whether what was lost on the way may be asked again now; it may, if left out. */
  again?: () => boolean
}

/** Before it is asked again the first time; each time twice as long, up to these. */
const againMs = 150
const mostAgainMs = { mesh: 1000, elsewhere: 5000 }
const offeredSchema = z.array(offerSchema.pick({ model: true, digest: true, backend: true, draining: true }))
const acceleratedSchema = z.object({ accelerators: z.array(z.unknown()).min(1) })

/**
 * The model's answer. Thinking changes nothing, so what was lost on the way (a process that died, a node that went) is asked again until the deadline: where the
 * same model is to be had, it goes on behind the last word that was delivered; else from the beginning, if the caller may have that. A provider whose answers break off is asked three times, one
 * that takes no question five times.
 *
 * Throws DENIED or UNREACHABLE where no model may be asked, MODEL_FAILED for an answer that cannot be used, and what a model throws.
 */
export async function think(node: MeshNode, given: GenerateRequest, thinking: Thinking): Promise<Answer> {
  const { session, actor, deadline, signal, trace, model, among, grant, noteAsked, stop, again = () => true } = thinking
  const router = await routerOf(node)
  const asker = { roles: node.roles, actor, trace }
  const [judged] = await Promise.all([router.judge(session, given, asker), noteAsked?.()])
  let { decision } = judged
  const spent = new Set<string>()
  // Drawn here, so that whoever goes on draws as the first one would have.
  const seed = given.seed ?? (given.temperature > 0 ? Math.floor(Math.random() * 0x1_0000_0000) : undefined)
  const order = model === auto ? preferenceOf(router.rules.order, weightOf(given)).models : []
  /** Each time there is less that may leave, so this ends: more budgets are spent, or nothing leaves. */
  const decideAgain = async ({ spent: more }: Kept): Promise<RouteDecision> => {
    const isNews = more.some((budget) => !spent.has(budget))
    for (const budget of more) spent.add(budget)
    const again = await router.judge(session, given, { ...asker, spent: [...spent] })
    return isNews || again.decision.effect === 'block' ? again.decision : stays(again.decision)
  }
  let telling = new Telling(stop)
  let before: Candidate | undefined
  const failed = new Set<string>()
  let paid = 0
  let unreached = 0
  /** Since when nobody has what was asked before. */
  let goneAt: number | undefined
  for (let tries = 0; ; tries += 1) {
    const resume = telling.resume(before?.digest)
    let isChosen = false
    try {
      const wish = { model, among, grant, order, before, failed, isBegun: resume !== undefined }
      const chosen = chooseModel(node, decision, wish, given)
      before = chosen
      isChosen = true
      goneAt = undefined
      // Only a model whose files are known answers alike for the same seed; others are asked as the caller asked.
      const known = chosen.digest !== undefined && seed !== undefined ? { seed } : {}
      return await askOnce(node, chosen, { ...given, ...known, ...(resume ? { resume } : {}) }, telling, thinking)
    } catch (error) {
      const failure = ClawmeshError.from(error)
      const kept = keptBy(failure)
      if (kept?.label) session.raise({ label: kept.label, categories: [] })
      if (kept && before?.zone === 'elsewhere' && (model === undefined || model === auto)) {
        decision = await decideAgain(kept)
        continue
      }
      if (before && !isChosen) goneAt ??= performance.now()
      if (goneAt !== undefined && performance.now() - goneAt > comesBackMs) throw failure
      // An answer that cannot be used is the caller's to judge: asking in the same words would hardly mend it.
      const isLost =
        failure.retry && (failure.code !== 'MODEL_FAILED' || isGone(failure)) && failure.code !== 'DEADLINE'
      const goesOn = telling.resume(before?.digest) !== undefined
      // What a provider has begun it is paid for, however it ended.
      if (before?.zone === 'elsewhere' && isPaid(failure) && ++paid === mostPaid) throw failure
      // One that cannot be reached is not waited for: a model of the mesh is asked, where any will do.
      if (before?.zone === 'elsewhere' && isUnanswered(failure) && ++unreached === mostUnreached) {
        if ((model !== undefined && model !== auto) || candidates(node).every(({ zone }) => zone === 'elsewhere'))
          throw failure
        decision = stays(decision)
        continue
      }
      const pauseMs = Math.min(mostAgainMs[before?.zone ?? 'mesh'], againMs * 2 ** tries)
      if (!isLost || !(goesOn || again()) || node.now() + pauseMs > deadline) throw failure
      if (before) failed.add(before.name)
      // Nothing that could be gone on with: it is begun anew.
      if (!goesOn) telling = new Telling(stop)
      await pause(pauseMs, signal)
    }
  }
}

/** How often a provider may be asked the same that gives no whole answer. */
const mostPaid = 3

/** A node that was started again has its models again within that. */
const comesBackMs = 15_000

/** How often one that takes no question is tried, over some two seconds. */
const mostUnreached = 5

const isPaid = (failure: ClawmeshError): boolean => failure.code === 'MODEL_BUSY' && !isUnanswered(failure)

/** The process of the model died, which says nothing of its answer. */
const isGone = ({ data }: ClawmeshError): boolean => data['lost'] === true

const stays = ({ rule }: RouteDecision): RouteDecision => ({ effect: 'local', rule, redact: [], models: [] })

/** What is known of the model that `think` would ask. */
export async function describeModel(
  node: MeshNode,
  model: string | undefined,
  options: CallOptions,
): Promise<ModelInfo> {
  const preferred = usualOrder(named(candidates(node), model), model)
  // Any model of the mesh will do as well as another.
  const first = preferred[0]?.zone === 'mesh' ? drawn(preferred.filter(({ zone }) => zone === 'mesh')) : preferred[0]
  if (first?.holder === undefined)
    return node.ref(inferenceName(first?.name ?? '')).ask(DescribeModel, first?.model ?? null, options)
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

/** Those of the mesh, with the node of each: one model may be served by several. */
export const modelsOfMesh = (node: MeshNode): { node: string; model: string }[] =>
  candidates(node).flatMap(({ name, model, zone }) => (zone === 'mesh' ? [{ node: name, model }] : []))

export interface Candidate {
  /** The node of a model of the mesh; `provider/model` of one elsewhere. */
  name: string
  model: string
  zone: Zone
  /** The node that holds the key. */
  holder?: string
  /** Of its files, where the node says. */
  digest?: string | undefined
  /** It computes on an accelerator of its node. */
  gpu?: boolean | undefined
}

/** What a question asks for beside what the rules let it. */
interface Wish {
  model: string | undefined
  /** Those that the asker may ask. */
  among: readonly string[] | undefined
  /** Under which it is asked: models that it does not name are not chosen. */
  grant: Grant | undefined
  /** Whom the rules have asked first, by how hard the prompt looks. */
  order: readonly string[]
  /** Who was asked before, in vain or in part. */
  before: Candidate | undefined
  /** Nodes that failed at this question: others are asked first. */
  failed: ReadonlySet<string>
  /** Words of `before` were delivered: only the same model can go on. */
  isBegun: boolean
}

async function askOnce(
  node: MeshNode,
  { name, model, zone, holder, gpu }: Candidate,
  request: GenerateRequest,
  telling: Telling,
  { session, actor, deadline, signal, trace, grant, noteAnswered, onRecording, onUse, onModel, onEvent }: Thinking,
): Promise<Answer> {
  const options = { deadline, signal, trace, grant }
  const events =
    holder === undefined
      ? node.ref(inferenceName(name)).stream(Generate, { ...request, model }, options)
      : node
          .ref(elsewhereName(holder))
          .stream(AskElsewhere, { model, request, seen: session.sensitivity, actor }, options)
  onModel?.(model)
  const begun = node.now()
  const ended = sentBy(node).begin(name, model, zone === 'mesh' ? blocksOf(request) : [])
  let hasBegun = false
  let pieces = 0
  let answer: Answer | undefined
  let isRefused = false
  try {
    for await (const event of events) {
      hasBegun = true
      if (event.type !== 'done') pieces += 1
      for (const said of telling.take(event)) await onEvent?.(said)
      answer = telling.answer
      if (answer) return answer
    }
    throw new ClawmeshError('MODEL_FAILED', 'The generation ended without saying so.', { hint: 'Ask again.' })
  } catch (error) {
    const failure = ClawmeshError.from(error)
    isRefused = failure.code === 'DENIED' || isUnanswered(failure)
    throw error
  } finally {
    ended(hasBegun)
    const seconds = Math.max(0, node.now() - begun) / 1000
    const usage = answer?.usage ?? null
    const used = { trace, actor, model, zone, usage, seconds, burned: answer ? 0 : pieces, gpu }
    // A model of the mesh that was never reached has cost nothing; nor has one elsewhere that the question was not let to, or that took none. Of any other nobody knows.
    if (hasBegun || (zone === 'elsewhere' && !isRefused)) {
      onUse?.(used)
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
  { model, among, grant, order, before, failed, isBegun }: Wish,
  request: GenerateRequest,
): Candidate {
  const all = candidates(node)
  const known = all.filter((each) => among === undefined || among.includes(each.model))
  // What the mesh has, and not what this asker may ask of it, says whether there is a way out of it. One elsewhere is asked by the holder of its key alone, whatever a node is called.
  const asked = permitted(all, decision, granted(named(known, model), grant)).filter(
    ({ zone, holder }) => zone === 'mesh' || holder !== undefined,
  )
  const allowed = inOrder(order, usualOrder(asked, model))
  // What was asked in the mesh stays in the mesh, and what was begun by a model is ended by it (invariant 3).
  const within = allowed.filter((each) => before?.zone !== 'mesh' || each.zone === 'mesh')
  const able = isBegun ? within.filter(({ digest }) => digest !== undefined && digest === before?.digest) : within
  const [first] = able
  if (!first || first.zone === 'elsewhere') return first ?? unreachable(isBegun ? before?.model : model, [])
  const here = able.filter(({ zone }) => zone === 'mesh')
  const others = here.filter(({ name }) => !failed.has(name))
  return soonest(node, others.length > 0 ? others : here, request)
}

/** Of models of the mesh the one that will likely answer soonest. Throws MEMORY_FULL where there is no room to load any. */
function soonest(node: MeshNode, able: readonly Candidate[], request: GenerateRequest): Candidate {
  const names = new Set(able.map(({ name }) => name))
  const models = [...new Set(able.map(({ model }) => model))]
  const nodes = node.nodes().filter(({ name }) => names.has(name))
  const { chosen, reasons } = placeAmong(nodes, request, { zones: ['mesh'], models, sent: sentBy(node) })
  const found = chosen && able.find(({ name, model }) => name === chosen.node && model === chosen.model)
  if (found) return found
  const blind = reasons.filter((reason) => 'refused' in reason && reason.by === 'modality')
  if (blind.length > 0 && blind.length === reasons.length)
    throw new ClawmeshError('MODEL_UNSUITED', `None of ${models.join(', ')} takes images.`, {
      hint: 'Ask a model that does: docs/models.md says how one is known by the mesh.',
    })
  const unfit = reasons.flatMap((reason) => ('refused' in reason && reason.by === 'memory' ? [reason] : []))
  const others = able.filter(({ name, model }) => !unfit.some((each) => each.node === name && each.model === model))
  if (others.length > 0) return drawn(others)
  throw new ClawmeshError(
    'MEMORY_FULL',
    `No node has the memory to load ${models.join(' or ')} now: ${unfit.map(({ node: name, refused }) => `${name}: ${refused}`).join('; ')}.`,
    { hint: '`clawmesh nodes` shows what is free, `clawmesh place TEXT` what each model takes.' },
  )
}

/** Those that a grant lets one ask. Where it is none of them, whoever has one says so. */
function granted(all: Candidate[], grant: Grant | undefined): Candidate[] {
  if (!grant) return all
  const on = ({ model, zone }: Candidate) => (zone === 'mesh' ? 'mesh' : model)
  const some = all.filter((each) => allows(grant.terms, { can: 'think', on: on(each) }) === undefined)
  return some.length > 0 ? some : all
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
function usualOrder(able: readonly Candidate[], model: string | undefined): Candidate[] {
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
export const candidates = (node: MeshNode): Candidate[] => candidatesOf(node.nodes())

export function candidatesOf(nodes: readonly NodeInfo[]): Candidate[] {
  const here = nodes.flatMap(({ name, roles, draining, advert }): Candidate[] => {
    if (!roles.includes('inference') || draining) return []
    const zone = advert['zone'] === 'mesh' ? 'mesh' : 'elsewhere'
    const hasGpu = hasAccelerator(advert)
    return modelsOf(advert).map(({ model, digest, backend }) => ({
      ...{ name, model, digest, zone },
      gpu: hasGpu && backend !== undefined && backend !== 'onnx',
    }))
  })
  const elsewhere = elsewhereOf(nodes)
  const there = (elsewhere?.models ?? []).map(
    (model): Candidate => ({ name: model, model, zone: 'elsewhere', holder: elsewhere?.holder ?? '' }),
  )
  return [...here, ...there]
}

const hasAccelerator = ({ hardware }: Advert): boolean => acceleratedSchema.safeParse(hardware).success

/** Of one that says nothing else of its models, only which the first is, there is no more to know. */
function modelsOf({ model, offers }: Advert): Pick<ModelOffer, 'model' | 'digest' | 'backend'>[] {
  const offered = offeredSchema.safeParse(offers).data
  if (offered && offered.length > 0) return offered.filter(({ draining }) => draining === undefined)
  return typeof model === 'string' ? [{ model }] : []
}
