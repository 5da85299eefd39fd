/** What the router would do with a text, and why. Nothing is recorded and nothing leaves. */
import { money } from '../policies/budget.js'
import { weigh } from '../policies/complexity.js'
import { ClawmeshError } from '../policies/errors.js'
import { type Preference, preferenceOf } from '../policies/preference.js'
import { decideRoute, type RouteDecision, type RouterRules } from '../policies/router.js'
import type { Category, Label } from '../policies/router-label.js'
import { classify, type Finding } from './classify.js'
import { isSpent, type Spending } from './egress/spending.js'
import { joinSensitivity, sensitivityOf } from './label.js'
import { redact } from './pseudonym/redact.js'
import { type NameSearch, withoutNames } from './pseudonym/rounds.js'
import { Vault } from './pseudonym/vault.js'
import { settingsOf } from './settings.js'
import { namesIn } from './tagger/names.js'
import type { Tagger, TagKind } from './tagger/tagger.js'
import { lastAtMost } from './view/view.js'

export interface Explanation {
  readonly label: Label
  readonly categories: readonly Category[]
  readonly findings: readonly ExplainedFinding[]
  readonly decision: RouteDecision
  /** What a model elsewhere would be sent for this text; undefined where it would be sent nothing. */
  readonly leaves?: string
  /** What redaction left that must stay, so that nothing leaves after all. */
  readonly left: readonly ExplainedFinding[]
  /** Why names could not be looked for, so that nothing leaves. */
  readonly unnamed?: string
  /** Whom `auto` would ask first, of those that may see it; nobody where all are blocked. */
  readonly preference: Preference
  /** What is left of the budgets of the rules for this text and an answer as long as usual, for each model that would be asked in turn. */
  readonly budgets: readonly ExplainedBudget[]
  /** The model of the mesh that would have to judge what leaves: it was not asked, and may keep it. */
  readonly judge?: string
}

export interface ExplainedBudget {
  readonly budget: string
  readonly model: string
  /** In the currency of the rules' prices. */
  readonly limit: number
  readonly taken: number
  /** What this may take; undefined where the model has no price. */
  readonly most: number | undefined
  readonly isSpent: boolean
}

export interface ExplainedFinding extends Omit<Finding, 'span'> {
  readonly start: number
  readonly end: number
  /** Counted from 1. */
  readonly line: number
  readonly column: number
  /** What stands there, cut short; of a secret only its beginning. */
  readonly excerpt: string
}

/**
 * @param tagger what looks for names; where it cannot, nothing leaves and `unnamed` says why
 * @param spending what the budgets of the rules have given; needed where they have any
 */
export async function explain(
  text: string,
  rules: RouterRules,
  tagger: Tagger,
  spending?: Pick<Spending, 'leftFor'>,
): Promise<Explanation> {
  const budgets = new Map<string, ExplainedBudget>()
  const spent = new Set<string>()
  for (;;) {
    const explanation = await judged(text, rules, tagger, [...spent])
    const preference = preferenceAmong(text, rules, explanation)
    const first = goesOn(explanation.decision) ? firstElsewhere(explanation.decision, preference) : undefined
    const left = first === undefined ? [] : budgetsFor(text, rules, first, spending)
    for (const each of left) budgets.set(`${each.budget} ${each.model}`, each)
    const news = left.filter(({ isSpent: is, budget }) => is && !spent.has(budget))
    for (const { budget } of news) spent.add(budget)
    const judge = explanation.leaves !== undefined && rules.judge ? { judge: rules.judge.model } : {}
    // As when it is asked: where something is spent for the first model, the rules decide again.
    if (news.length === 0) return { ...explanation, ...judge, preference, budgets: [...budgets.values()] }
  }
}

const firstElsewhere = ({ models }: RouteDecision, preference: Preference): string | undefined =>
  preference.models.find((model) => models.includes(model)) ?? models[0]

function budgetsFor(
  text: string,
  rules: RouterRules,
  model: string,
  spending: Pick<Spending, 'leftFor'> | undefined,
): ExplainedBudget[] {
  if (rules.budgets.length === 0) return []
  if (!spending) throw new Error('rules with budgets are explained with what is spent')
  const bytes = Buffer.byteLength(JSON.stringify({ model, messages: [{ role: 'user', content: text }] }))
  return spending.leftFor(rules, { model, trace: '', bytes, maxTokens: usualAnswer }).map((left) => ({
    ...{ budget: left.budget, model, limit: money(left.limit), taken: money(left.taken) },
    ...{ most: left.most === undefined ? undefined : money(left.most), isSpent: isSpent(left) },
  }))
}

/** As many tokens as an agent asks for unless it says otherwise. */
const usualAnswer = 800

function preferenceAmong(text: string, rules: RouterRules, { decision, leaves }: Judged): Preference {
  const weight = weigh({ messages: [{ content: text }], tools: 0, maxTokens: usualAnswer })
  const { models, costs, ...rest } = preferenceOf(rules.order, weight)
  const may = (model: string): boolean =>
    model === 'mesh' ? decision.effect !== 'block' : leaves !== undefined && decision.models.includes(model)
  return {
    ...rest,
    models: models.filter(may),
    costs: costs.filter((_, index) => may(models[index] ?? '')),
  }
}

type Judged = Omit<Explanation, 'preference' | 'budgets' | 'judge'>

async function judged(text: string, rules: RouterRules, tagger: Tagger, spent: readonly string[]): Promise<Judged> {
  const settings = settingsOf(rules)
  const search: NameSearch = (texts) => namesIn(texts, tagger, rules.tagger.kinds as readonly TagKind[], settings)
  const whole = classify(text, settings)
  const plain = {
    ...whole,
    findings: explained(text, whole.findings),
    decision: decideRoute(rules, { ...whole, roles: [], spent }),
    left: [],
  }
  if (!goesOn(plain.decision)) return plain
  try {
    const [names = []] = await search([text])
    const findings = [...whole.findings, ...names].sort((a, b) => a.span.start - b.span.start)
    const { label, categories } = joinSensitivity([whole, ...names.map(sensitivityOf)])
    const decision = decideRoute(rules, { label, categories, roles: [], spent })
    const known = { label, categories, findings: explained(text, findings), decision }
    if (!goesOn(decision)) return { ...known, left: [] }
    const vault = new Vault()
    const once = redact(text, findings, decision.redact, vault).text
    const [redacted = ''] = await withoutNames([once], decision.redact, vault, search)
    const [unredacted = []] = await search([redacted])
    const again = classify(redacted, settings)
    const left = joinSensitivity([again, ...unredacted.map(sensitivityOf)])
    if (decideRoute(rules, { ...left, roles: [], spent }).effect !== 'allow')
      return { ...known, left: explained(redacted, [...again.findings, ...unredacted]) }
    return decision.models.length === 0 ? { ...known, left: [] } : { ...known, left: [], leaves: redacted }
  } catch (cause) {
    return { ...plain, unnamed: ClawmeshError.from(cause).message }
  }
}

const goesOn = ({ effect }: RouteDecision): boolean => effect === 'redact' || effect === 'allow'

const longestExcerpt = 60
const shownOfSecret = 4

function explained(text: string, findings: readonly Finding[]): ExplainedFinding[] {
  const lines = [0]
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) lines.push(end + 1)
  return findings.map(({ span, ...finding }) => {
    const index = lastAtMost(lines, span.start)
    const stands = text.slice(span.start, Math.min(span.end, span.start + longestExcerpt))
    return {
      ...finding,
      ...span,
      line: index + 1,
      column: span.start - (lines[index] ?? 0) + 1,
      excerpt:
        finding.category === 'SECRET'
          ? `${stands.slice(0, shownOfSecret)}…`
          : `${stands}${span.end - span.start > longestExcerpt ? '…' : ''}`,
    }
  })
}
