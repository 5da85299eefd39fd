/** Where words for digits could be a part of a number or a key. One alone among plain words is what it says. */
import type { Run } from '../view/facts.js'
import type { Reading } from './reading.js'

const within = 24
/** No key has a stretch so long without a digit in it. */
const apart = 96

/** Groups of such words, those that do not look like it too, from the start of the first to that of the last; in order and apart. */
export function wordedIn({ text, words }: Pick<Reading, 'text' | 'words'>): Run[] {
  const found: Run[] = []
  const starts = words('digit')
  for (let first = 0; first < starts.length; ) {
    let last = first
    let isLikely = false
    for (; ; last += 1) {
      const [start = 0, next = Number.POSITIVE_INFINITY] = [starts[last], starts[last + 1]]
      isLikely ||= next - start <= within || hasStrangeNeighbour(text, start)
      if (next - start > apart) break
    }
    if (isLikely) found.push([starts[first] ?? 0, starts[last] ?? 0])
    first = last + 1
  }
  return found
}

const wordAt = /[A-Za-z]*/y
/** A word as prose has it, with what may frame it. */
const plain = /^[("']?(?:-?[A-Z]?[a-z]+-?|[A-Z])?['")\].,;:!?]*$/

/** Does something stand before or behind the word that no prose has: a digit, a sign, capitals within? */
function hasStrangeNeighbour(text: string, start: number): boolean {
  wordAt.lastIndex = start
  const end = start + (wordAt.exec(text)?.[0].length ?? 0)
  const before = /\S*[ \t]{0,4}$/.exec(text.slice(Math.max(0, start - 48), start))?.[0].trim() ?? ''
  const behind = /^[ \t]{0,4}\S*/.exec(text.slice(end, end + 48))?.[0].trim() ?? ''
  return !plain.test(before) || !plain.test(behind)
}
