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
 * Once more, in a text that has pseudonyms of this vault already: those stay.
 *
 * @param findings of this text, none of them in a pseudonym
 */
export function redactAgain(
  text: string,
  findings: readonly Finding[],
  kinds: readonly string[],
  vault: Vault,
): string {
  return replaced(text, placesOf(findings, kinds), vault).text
}

/**
 * @param findings of this text
 * @param kinds those that are replaced; what is found of other kinds stays
 */
export function redact(text: string, findings: readonly Finding[], kinds: readonly string[], vault: Vault): Redacted {
  const places = placesOf(findings, kinds)
  for (const { index, 0: match } of text.matchAll(vault.lookalike))
    places.push({ kind: 'text', start: index, end: index + match.length })
  return replaced(text, places, vault)
}

const placesOf = (findings: readonly Finding[], kinds: readonly string[]): Place[] =>
  findings.filter(({ kind }) => kinds.includes(kind)).map(({ kind, span }) => ({ kind, ...span }))

function replaced(text: string, places: readonly Place[], vault: Vault): Redacted {
  const counts: Record<string, number> = {}
  let out = ''
  let done = 0
  for (const { kind, start, end } of merged(places)) {
    out += text.slice(done, start) + vault.pseudonym(kind, text.slice(start, end))
    counts[kind] = (counts[kind] ?? 0) + 1
    done = end
  }
  return { text: out + text.slice(done), replaced: counts }
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
