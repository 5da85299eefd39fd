/** A text as detectors get it: with all words that matter already found, by topic. */
import { buildGate, type GateWord } from '../gate.js'
import type { View } from '../view/view.js'
import type { Kind } from './kind.js'
import { families } from './secret-families.js'
import { type Topic, topics } from './words.js'

export interface Found {
  readonly kind: Kind
  readonly start: number
  readonly end: number
  /** What of its kind: the family of a secret, the name of a person's own pattern. */
  readonly of?: string
}

export interface Reading {
  readonly text: string
  /** The text is a guess at what somebody hid: only what proves itself counts. */
  readonly lossy: boolean
  /** How the text came to be, at a place of it. */
  stepsAt(at: number): readonly string[]
  readonly hasDigits: boolean
  /** Starts of the topic's words, ascending. */
  words(topic: Topic): readonly number[]
  /** Is a word of the topic among the `before` characters before, or the `after` behind? */
  near(topic: Topic, start: number, end: number, before: number, after?: number): boolean
  /** Where words stand that announce a secret, with the families that they announce. */
  readonly announced: readonly { readonly family: number; readonly start: number }[]
}

interface Announcement extends GateWord {
  /** By its place among the topics. */
  readonly topic?: number
  readonly family?: number
}

const topicNames = Object.keys(topics) as Topic[]

const announcements: Announcement[] = [
  ...Object.entries(topics).flatMap(([topic, words]) =>
    words.map((word) => ({
      word,
      bound: topic === 'spoken' ? ('none' as const) : ('both' as const),
      topic: topicNames.indexOf(topic as Topic),
    })),
  ),
  ...families.flatMap(({ announcedBy, bound }, family) =>
    announcedBy.map((word) => ({ word: word.toLowerCase(), bound: bound ?? ('left' as const), family })),
  ),
]
const gate = buildGate(announcements)
const none: readonly number[] = []

export function read({ text, lossy, stepsAt }: Omit<View, 'origin'>): Reading {
  const found: number[][] = []
  const announced: { family: number; start: number }[] = []
  gate.scan(text, (index, start) => {
    const { topic, family } = announcements[index] as Announcement
    if (family !== undefined) announced.push({ family, start })
    if (topic === undefined) return
    const starts = found[topic]
    if (starts) starts.push(start)
    else found[topic] = [start]
  })
  // Words end in order; a long one may have begun before a short one.
  for (const starts of found) starts?.sort((a, b) => a - b)
  const words = (topic: Topic) => found[topicNames.indexOf(topic)] ?? none
  return {
    text,
    lossy,
    stepsAt,
    hasDigits: /\d/.test(text),
    announced,
    words,
    near: (topic, start, end, before, after = 0) => {
      const starts = words(topic)
      const first = starts[firstAtLeast(starts, start - before)]
      return first !== undefined && first < end + after
    },
  }
}

/** The index of the first element that is not below the value; the length if there is none. */
export function firstAtLeast(sorted: readonly number[], value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? 0) < value) low = middle + 1
    else high = middle
  }
  return low
}

/** Every match of a global pattern. */
export function* matches(pattern: RegExp, text: string): Generator<RegExpExecArray> {
  pattern.lastIndex = 0
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const { lastIndex } = pattern
    yield match
    pattern.lastIndex = lastIndex > match.index ? lastIndex : match.index + 1
  }
}

/** Does the character belong to a word? What lies outside the text does not. */
export function isInWord(character: string | undefined): boolean {
  return character !== undefined && /[A-Za-z0-9_]/.test(character)
}
