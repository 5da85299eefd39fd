import type { Found, Reading } from './reading.js'
import { families } from './secret-families.js'

/** Every key, token and password that a word announces. */
export function* secrets({ text, lossy, announced }: Reading): Generator<Found> {
  // Behind the last secret of a family: what stands inside it is no other one.
  const done = new Map<string, number>()
  for (const { family, start } of announced) {
    const rule = families[family]
    if (!rule || start < (done.get(rule.name) ?? 0)) continue
    // What only its neighbours make a secret proves nothing in a text that was put together.
    if (lossy && rule.bound === 'none' && rule.entropy !== undefined && rule.entropy < 3) continue
    rule.pattern.lastIndex = start
    const match = rule.pattern.exec(text)
    if (!match) continue
    const value = match.groups?.['value'] ?? match[0]
    if (rule.entropy !== undefined && entropy(value) < rule.entropy) continue
    if (match.groups?.['value'] !== undefined && !isValue(rule.name, value)) continue
    done.set(rule.name, start + match[0].length)
    yield { kind: 'secret', start, end: start + match[0].length, of: rule.name }
  }
}

const placeholder =
  /^(?:[<{$%*(#[]|\\|process\.|os\.|env\b|env\.|import|your|example|changeme|placeholder|redacted|hidden|none|null|undefined|true|false|string|number|required|optional|x{3,}|\.{3})|\*{3}|(?:_|-|\b)here$|\(|[):]$|^https?:/i

/** A password that stands after its name, or code and prose about one? */
function isValue(family: string, value: string): boolean {
  if (placeholder.test(value)) return false
  if (family === 'pin') return /^\d{4,8}[.!?]?$/.test(value) || isMixed(value)
  return family !== 'password' || isMixed(value)
}

/** More than one sort of character, a full stop at the end aside. */
function isMixed(value: string): boolean {
  const bare = value.replace(/[.!?)\]}]+$/, '')
  if (/^[A-Za-z]+(?:[-_.][A-Za-z]+)*$/.test(bare)) return /[a-z][A-Z]|[A-Z]{2}[a-z]/.test(bare) && bare.length >= 12
  return !/^\d{1,5}(?:[.,:]\d+)*$/.test(bare)
}

/** Shannon's, in bits for each character. */
export function entropy(text: string): number {
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length)
  return bits
}
