/** What the router would do with a text, and why. Pure: nothing is recorded and nothing leaves. */
import { decideRoute, type RouteDecision, type RouterRules } from '../policies/router.js'
import type { Category, Label } from '../policies/router-label.js'
import { classify, type Finding } from './classify.js'
import { redact } from './pseudonym/redact.js'
import { Vault } from './pseudonym/vault.js'
import { settingsOf } from './settings.js'
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

export function explain(text: string, rules: RouterRules): Explanation {
  const settings = settingsOf(rules)
  const { label, categories, findings } = classify(text, settings)
  const decision = decideRoute(rules, { label, categories, roles: [] })
  const known = { label, categories, findings: explained(text, findings), decision }
  if (decision.effect !== 'redact' && decision.effect !== 'allow') return { ...known, left: [] }
  const redacted = redact(text, findings, decision.redact, new Vault()).text
  const again = classify(redacted, settings)
  if (decideRoute(rules, { ...again, roles: [] }).effect !== 'allow')
    return { ...known, left: explained(redacted, again.findings) }
  return decision.models.length === 0 ? { ...known, left: [] } : { ...known, left: [], leaves: redacted }
}

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
