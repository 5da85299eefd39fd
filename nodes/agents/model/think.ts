import type { Answer, GenerateEvent, GenerateRequest } from '../../../inference/backend.js'
import { Generate, inferenceName } from '../../../inference/service.js'
import type { Grant, MeshNode } from '../../../mesh/index.js'
import { pause } from '../../../mesh/task/pause.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { preferenceOf } from '../../../policies/preference.js'
import type { RouteDecision } from '../../../policies/router.js'
import { isUnanswered } from '../../../router/egress/unanswered.js'
import { type Kept, keptBy } from '../../../router/kept.js'
import { weightOf } from '../../../router/request.js'
import type { RouterSession } from '../../../router/session.js'
import { AskElsewhere, elsewhereName } from '../../elsewhere.js'
import { blocksOf, sentBy } from '../../process/sent.js'
import { auto, type Candidate, candidates } from './candidate.js'
import { chooseModel } from './choice.js'
import { recordUse, type Use } from './costs.js'
import { routerOf } from './privacy.js'
import { Telling } from './telling.js'

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
  /** Why the server behind the one that was asked last could not be. */
  let away: ClawmeshError | undefined
  for (let tries = 0; ; tries += 1) {
    const resume = telling.resume(before?.digest)
    let isChosen = false
    try {
      const wish = { model, among, grant, order, before, failed, isBegun: resume !== undefined }
      const chosen = chooseModel(node, decision, wish, given)
      before = chosen
      isChosen = true
      // Servers come back when their people start them: another is asked, and where there is none that is said.
      if (away && failed.has(chosen.name)) throw away
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
        failure.retry &&
        (failure.code !== 'MODEL_FAILED' || isGone(failure) || (isAway(failure) && failure !== away)) &&
        failure.code !== 'DEADLINE'
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
      away = isAway(failure) ? failure : undefined
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

/** The server of the model was not reached, or broke off. */
const isAway = ({ data }: ClawmeshError): boolean => data['away'] === true

const stays = ({ rule }: RouteDecision): RouteDecision => ({ effect: 'local', rule, redact: [], models: [] })

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
