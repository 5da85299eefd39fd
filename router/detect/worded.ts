/** Could words for digits be a part of a number or a key? One alone among plain words is what it says. */
import type { Reading } from './reading.js'

const within = 24

export function mayBeWorded(reading: Reading): boolean {
  const words = reading.words('digit')
  if (words.length === 0) return false
  return words.some((start, index) => {
    const next = words[index + 1]
    return (next !== undefined && next - start <= within) || hasStrangeNeighbour(reading.text, start)
  })
}

const wordAt = /[A-Za-z]*/y
/** A word as prose has it, with what may frame it. */
const plain = /^[("']?(?:[A-Z]?[a-z]+|[A-Z])?['")\].,;:!?]*$/

/** Does something stand before or behind the word that no prose has: a digit, a sign, capitals within? */
function hasStrangeNeighbour(text: string, start: number): boolean {
  wordAt.lastIndex = start
  const end = start + (wordAt.exec(text)?.[0].length ?? 0)
  const before = /\S*[ \t]{0,4}$/.exec(text.slice(Math.max(0, start - 48), start))?.[0].trim() ?? ''
  const behind = /^[ \t]{0,4}\S*/.exec(text.slice(end, end + 48))?.[0].trim() ?? ''
  return !plain.test(before) || !plain.test(behind)
}
