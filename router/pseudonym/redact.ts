/** Puts pseudonyms for what was found. Pure but for the vault, which remembers them. */
import type { Finding } from '../classify.js'
import type { Span } from '../view/view.js'
import type { Vault } from './vault.js'

export interface Redacted {
  readonly text: string
  /** How many places of each kind were replaced. */
  readonly replaced: Readonly<Record<string, number>>
}

interface Place extends Span {
  readonly kind: string
}

/**
 * @param findings of this text
 * @param kinds those that are replaced; what is found of other kinds stays
 */
export function redact(text: string, findings: readonly Finding[], kinds: readonly string[], vault: Vault): Redacted {
  const places: Place[] = findings
    .filter(({ kind }) => kinds.includes(kind))
    .map(({ kind, span }) => ({ kind, ...span }))
  for (const { index, 0: match } of text.matchAll(vault.lookalike))
    places.push({ kind: 'text', start: index, end: index + match.length })
  const replaced: Record<string, number> = {}
  let out = ''
  let done = 0
  for (const { kind, start, end } of merged(places)) {
    out += text.slice(done, start) + vault.pseudonym(kind, text.slice(start, end))
    replaced[kind] = (replaced[kind] ?? 0) + 1
    done = end
  }
  return { text: out + text.slice(done), replaced }
}

/** Places in order; those that overlap become one, of the kind of the first. */
function merged(places: readonly Place[]): Place[] {
  const apart: Place[] = []
  for (const place of places.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = apart.at(-1)
    if (last && place.start < last.end) apart[apart.length - 1] = { ...last, end: Math.max(last.end, place.end) }
    else apart.push(place)
  }
  return apart
}
