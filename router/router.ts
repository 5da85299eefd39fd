/**
 * The privacy router: reads a request, decides by the rules, and lets leave what may.
 *
 *     const router = new Router({ rules, egress, audit })
 *     const session = router.open(trace)
 *     const judged = await router.judge(session, request, asker)
 *     choose(judged.decision, candidates)                                // a model here, or one elsewhere?
 *     for await (const event of router.ask(session, request, asker, { provider: 'frontier', model: 'large' })) …
 *
 * Whatever fails on the way (a detector, the vault, the audit trail) ends in a refusal, and nothing leaves.
 */
import { ClawmeshError } from '../policies/errors.js'
import type { Role } from '../policies/roles.js'
import { decideRoute, type RouteDecision, type RouterRules } from '../policies/router.js'
import type { Sensitivity } from '../policies/router-label.js'
import type { RouterAudit } from './audit.js'
import type { ClassifySettings, Finding } from './classify.js'
import { type Clearance, type ClearanceRequest, clear, type Destination } from './egress/clearance.js'
import type { Egress } from './egress/egress.js'
import type { Reservation, Spending } from './egress/spending.js'
import { isUnanswered } from './egress/unanswered.js'
import { keeping, keptBy } from './kept.js'
import { joinSensitivity, sensitivityOf } from './label.js'
import type { Opinion } from './opinion.js'
import { CallPieces, type ModelCall } from './provider/call.js'
import type { EndReason, ProviderUsage } from './provider/form.js'
import { redact } from './pseudonym/redact.js'
import { Restorer } from './pseudonym/restore.js'
import { type NameSearch, remembering, withoutNames } from './pseudonym/rounds.js'
import { type Reading, readRequest } from './reading.js'
import { type ModelRequest, textsOf, weightOf } from './request.js'
import { RouterSession } from './session.js'
import { settingsOf } from './settings.js'
import { namesIn } from './tagger/names.js'
import type { Tagger, TagKind } from './tagger/tagger.js'

export interface RouterOptions {
  readonly rules: RouterRules
  /** Without it nothing leaves. */
  readonly egress?: Egress
  readonly audit: RouterAudit
  /** Without it nothing leaves either, unless the rules do without names. */
  readonly tagger?: Tagger
  /** The ledger of what is spent; throws where it cannot be read. Without it nothing leaves where the rules have budgets. */
  readonly spending?: () => Spending
  /** Without it nothing leaves where the rules have a model judge it. */
  readonly opinion?: Opinion
}

export interface Asker {
  readonly roles: readonly Role[]
  readonly actor: string
  readonly trace: string
  /** Budgets that are known to be spent. */
  readonly spent?: readonly string[]
}

/** What an answer brings, in order; `done` comes once, last. */
export type AnswerEvent =
  | { readonly type: 'token'; readonly text: string }
  | { readonly type: 'call'; readonly call: ModelCall }
  /** null: the provider does not say what it used. */
  | { readonly type: 'done'; readonly reason: EndReason; readonly usage: ProviderUsage | null }

export interface Judged {
  readonly decision: RouteDecision
  /** Of the request together with all that the session has seen. */
  readonly sensitivity: Sensitivity
  /** For each text of the request, what stands in it, with spans of that text. */
  readonly texts: readonly (readonly Finding[])[]
  /** What stands in no single text, but in several together: it cannot be redacted. */
  readonly split: readonly Finding[]
  /** Images come with it, which nobody has read. */
  readonly images: boolean
  /** Why names could not be looked for, where the rules would let it leave. */
  readonly unnamed?: ClawmeshError
}

export class Router {
  readonly rules: RouterRules
  readonly settings: ClassifySettings
  readonly #egress: Egress | undefined
  readonly #audit: RouterAudit
  readonly #tagger: Tagger | undefined
  readonly #spending: (() => Spending) | undefined
  readonly #opinion: Opinion | undefined

  /** Throws POLICY_INVALID for rules that cannot be kept. */
  constructor({ rules, egress, audit, tagger, spending, opinion }: RouterOptions) {
    this.rules = rules
    this.settings = settingsOf(rules)
    this.#egress = egress
    this.#audit = audit
    this.#tagger = tagger
    this.#spending = spending
    this.#opinion = opinion
  }

  open(trace: string): RouterSession {
    return new RouterSession(this.#audit, trace)
  }

  /** Reads a request and decides. The session's label rises with it, and the decision is on record when this resolves. */
  judge(session: RouterSession, request: ModelRequest, asker: Asker): Promise<Judged> {
    return this.#judge(session, request, asker, this.#names)
  }

  async #judge(session: RouterSession, request: ModelRequest, asker: Asker, names: NameSearch): Promise<Judged> {
    const read = refuseOnFailure('read', () => readRequest(request, this.settings))
    const judged = this.#decide(session, read, asker)
    const { sensitivity, decision, texts, unnamed } = mayLeave(judged.decision)
      ? await this.#withNames(session, request, judged, asker, names)
      : judged
    await this.#audit.record({
      kind: 'route.decided',
      trace: asker.trace,
      actor: asker.actor,
      facts: {
        label: sensitivity.label,
        categories: sensitivity.categories,
        rule: decision.rule,
        effect: decision.effect,
        roles: asker.roles,
        ...(asker.spent?.length ? { spent: asker.spent } : {}),
        ...weightOf(request),
      },
    })
    const { split, images } = read
    return { sensitivity, decision, texts, split, images, ...(unnamed && { unnamed }) }
  }

  #decide(session: RouterSession, read: Reading, asker: Asker): Judged {
    const sensitivity = session.raise(read.sensitivity)
    const byRules = decideRoute(this.rules, { ...sensitivity, roles: asker.roles, spent: asker.spent })
    return { ...read, sensitivity, decision: keepWhatIsUnseen(keepWhatIsSplit(byRules, read.split), read) }
  }

  /** What may leave is looked at for names too, and decided once more; where they cannot be looked for it stays. */
  async #withNames(
    session: RouterSession,
    request: ModelRequest,
    judged: Judged,
    asker: Asker,
    names: NameSearch,
  ): Promise<Judged> {
    try {
      const named = await names(textsOf(request))
      const texts = judged.texts.map((findings, index) => [...findings, ...(named[index] ?? [])])
      const found = joinSensitivity([judged.sensitivity, ...named.flat().map(sensitivityOf)])
      return this.#decide(session, { ...judged, texts, sensitivity: found }, asker)
    } catch (cause) {
      const { rule } = judged.decision
      const decision = { effect: 'local' as const, rule: `${rule} (names not looked for)`, redact: [], models: [] }
      return { ...judged, decision, unnamed: ClawmeshError.from(cause) }
    }
  }

  readonly #names: NameSearch = (texts) =>
    namesIn(texts, this.#tagger, this.rules.tagger.kinds as readonly TagKind[], this.settings)

  /**
   * The answer of a model elsewhere, with what was redacted put back in its text. The arguments of a call keep their pseudonyms: what a tool does with them
   * nobody has decided. Rejects with DENIED if the request may not go there, MODEL_FAILED for calls that cannot be read, and as Egress.send does.
   */
  async *ask(
    session: RouterSession,
    request: ModelRequest,
    by: Asker,
    destination: Destination,
    signal: AbortSignal = new AbortController().signal,
  ): AsyncGenerator<AnswerEvent> {
    const names = remembering(this.#names)
    const model = `${destination.provider}/${destination.model}`
    const question = { model, trace: by.trace, maxTokens: request.maxTokens }
    // As far as it can be known before the body is written.
    const bytes = Buffer.byteLength(JSON.stringify(request))
    const asker = { ...by, spent: this.#money()?.spentFor(this.rules, { ...question, bytes }) ?? [] }
    const judged = await this.#judge(session, request, asker, names)
    const egress = this.#egress
    if (!egress) throw refused('no key store is open, so there is no way out')
    if (judged.unnamed) throw judged.unnamed
    const { decision } = judged
    if (!mayLeave(decision) || !decision.models.includes(model)) {
      const said = mayLeave(decision) ? `does not name ${model}` : `says ${decision.effect}`
      const why = asker.spent.length > 0 ? `${said}, and spent is ${asker.spent.join(', ')}` : said
      throw keeping(`the rule ${decision.rule} ${why}`, asker)
    }
    const redacted = await this.#redacted(request, judged, session, names)
    const form = egress.formOf(destination.provider)
    const body = Buffer.from(JSON.stringify(form.body(destination.model, redacted)), 'utf8')
    const held = this.#money()?.reserve(this.rules, { ...question, bytes: body.length })
    const clearance = await this.#cleared(session, judged, { names, destination, body, signal, ...asker }, held)
    const restorer = new Restorer(session.vault)
    const pieces = new CallPieces()
    let reason: EndReason = 'stop'
    let usage = null as ProviderUsage | null
    /** How long the answer was has been said since its last word. */
    let isCounted = false
    let outcome = 'broken off'
    try {
      for await (const delta of egress.send(clearance, body, signal)) {
        if (delta.usage) usage = { ...nothingUsed, ...usage, ...delta.usage }
        if (delta.usage?.outputTokens !== undefined) isCounted = true
        else if (delta.text || delta.calls) isCounted = false
        reason = delta.reason ?? reason
        pieces.add(delta.calls)
        const text = restorer.push(delta.text ?? '')
        if (text !== '') yield { type: 'token', text }
      }
      const rest = restorer.end()
      if (rest !== '') yield { type: 'token', text: rest }
      const calls = pieces.end()
      for (const call of calls) yield { type: 'call', call }
      outcome = 'answered'
      // Some say how long the answer was and not how long the prompt, or only how it began: that is no bill.
      if (!isCounted || usage?.promptTokens === 0) usage = null
      if (usage) held?.settle(usage)
      yield { type: 'done', reason: calls.length > 0 ? 'call' : reason, usage }
    } catch (cause) {
      if (isUnanswered(ClawmeshError.from(cause))) held?.release()
      throw cause
    } finally {
      const { trace, actor } = asker
      await this.#audit.record({ kind: 'egress.ended', trace, actor, facts: { model, outcome, ...usage } })
    }
  }

  /** The ledger, where the rules have budgets. */
  #money(): Spending | undefined {
    if (this.rules.budgets.length === 0) return undefined
    if (!this.#spending) throw refused('the rules have budgets, and nobody here counts what is spent')
    return this.#spending()
  }

  /** What was held of the budgets is given back where it may not leave. */
  async #cleared(
    session: RouterSession,
    { sensitivity }: Judged,
    asked: Pick<ClearanceRequest, 'names' | 'destination' | 'body' | 'signal' | 'roles' | 'trace' | 'actor'>,
    held: Reservation | undefined,
  ): Promise<Clearance> {
    const { rules, settings } = this
    const known = { rules, settings, audit: this.#audit, opinion: this.#opinion, sensitivity, spent: held?.spent ?? [] }
    try {
      return await clear({ ...asked, ...known })
    } catch (cause) {
      held?.release()
      if (!(cause instanceof ClawmeshError)) throw refused('it could not be cleared', cause)
      const label = keptBy(cause)?.label
      if (label) session.raise({ label, categories: [] })
      throw cause
    }
  }

  async #redacted(
    request: ModelRequest,
    judged: Judged,
    session: RouterSession,
    names: NameSearch,
  ): Promise<ModelRequest> {
    const redacted = refuseOnFailure('redacted', () => redactRequest(request, judged, session))
    const texts = redacted.messages.map(({ content }) => content)
    // What was not changed has been looked at already.
    if (texts.every((text, index) => text === request.messages[index]?.content)) return redacted
    const rid = await withoutNames(texts, judged.decision.redact, session.vault, names)
    return { ...redacted, messages: redacted.messages.map((each, at) => ({ ...each, content: rid[at] ?? '' })) }
  }
}

const mayLeave = ({ effect, models }: RouteDecision): boolean =>
  (effect === 'redact' || effect === 'allow') && models.length > 0

const nothingUsed: ProviderUsage = { promptTokens: 0, cachedTokens: 0, outputTokens: 0 }

/** What cannot be redacted, because no text holds all of it, keeps the request here. */
function keepWhatIsSplit(decision: RouteDecision, split: readonly Finding[]): RouteDecision {
  const counts = split.some(({ kind, category }) => category !== undefined || decision.redact.includes(kind))
  return decision.effect === 'redact' && counts
    ? { effect: 'local', rule: `${decision.rule} (split)`, redact: [], models: [] }
    : decision
}

/** Nor can what nobody has read, whatever rules say of its label. */
const keepWhatIsUnseen = (decision: RouteDecision, { images }: Reading): RouteDecision =>
  images && mayLeave(decision)
    ? { effect: 'local', rule: `${decision.rule} (images)`, redact: [], models: [] }
    : decision

/** Messages with pseudonyms; what stands in definitions of tools cannot be replaced, since their names would no longer be theirs. */
function redactRequest(request: ModelRequest, { decision, texts }: Judged, { vault }: RouterSession): ModelRequest {
  if (decision.effect !== 'redact' && decision.effect !== 'allow') {
    throw refused(`the rule ${decision.rule} says ${decision.effect}`)
  }
  const messages = request.messages.map(({ role, content }, index) => ({
    role,
    content: redact(content, texts[index] ?? [], decision.redact, vault).text,
  }))
  return { ...request, messages }
}

function refuseOnFailure<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw cause instanceof ClawmeshError ? cause : refused(`it could not be ${what}`, cause)
  }
}

function refused(why: string, cause?: unknown): ClawmeshError {
  return new ClawmeshError('DENIED', `The prompt does not leave the mesh: ${why}.`, {
    hint: '`clawmesh route --explain FILE` says what is found in a text, and which rule decides.',
    ...(cause === undefined ? {} : { cause }),
  })
}
