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
  return !plain.test(wordBefore(text, start)) || !plain.test(wordBehind(text, end))
}

/** At most so much of it, and over so many spaces or tabs. */
const reach = 48
const overSpaces = 4

function wordBefore(text: string, end: number): string {
  let to = end
  while (to > 0 && end - to < overSpaces && isBlank(text, to - 1)) to -= 1
  let from = to
  while (from > 0 && end - from < reach && !isSpace(text, from - 1)) from -= 1
  return text.slice(from, to)
}

function wordBehind(text: string, start: number): string {
  let from = start
  while (from - start < overSpaces && isBlank(text, from)) from += 1
  let to = from
  while (to < text.length && to - start < reach && !isSpace(text, to)) to += 1
  return text.slice(from, to)
}

const isBlank = (text: string, at: number): boolean => text.charCodeAt(at) === 32 || text.charCodeAt(at) === 9
const isSpace = (text: string, at: number): boolean => {
  const unit = text.charCodeAt(at)
  return unit === 32 || (unit >= 9 && unit <= 13)
}
