/** A text as detectors get it: with all words that matter already found, by topic. */
import { buildGate, type GateWord, isWordAt } from '../gate.js'
import type { Facts, NumberRun, Run } from '../view/facts.js'
import { reversed, rotated } from '../view/turn.js'
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
  readonly facts: Facts
  /** A word that announces a password or a PIN stands in it: as it is, back to front, or rotated. */
  readonly shortSecrets: boolean
  /** Where words begin that announce something back to front, and rotated; ascending. */
  readonly mirroredWords: readonly number[]
  readonly rotatedWords: readonly number[]
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
  readonly isShort?: boolean
  readonly turned?: 'mirrored' | 'rotated'
  /** Only within a token that is long enough for a key. */
  readonly isMark?: boolean
  /** The bound of the word itself, for one that is mirrored. */
  readonly bare?: GateWord['bound']
}

const topicNames = Object.keys(topics) as Topic[]
const placeOf = Object.fromEntries(topicNames.map((topic, place) => [topic, place])) as Record<Topic, number>

const announcements: Announcement[] = [
  ...Object.entries(topics).flatMap(([topic, words]) =>
    words.map((word) => ({
      word,
      bound: topic === 'spoken' ? ('none' as const) : ('both' as const),
      topic: placeOf[topic as Topic],
    })),
  ),
  ...families.flatMap(({ announcedBy, bound, isShort = false }, family) =>
    announcedBy.map((word) => ({ word: word.toLowerCase(), bound: bound ?? ('left' as const), family, isShort })),
  ),
  ...families.flatMap(({ announcedBy, bound = 'left', isShort = false }) => turnedWords(announcedBy, bound, isShort)),
  ...turnedWords([...topics.card, ...topics.nationalId], 'both', false),
]

/** What announces something when the text is turned. */
function turnedWords(words: readonly string[], bound: GateWord['bound'], isShort: boolean): Announcement[] {
  return words.flatMap((spelled): Announcement[] => {
    const word = spelled.toLowerCase()
    const rotation = rotated(word)
    // A mark stands before the rest of its token, and so the rest before it once it is mirrored.
    const isMark = bound === 'left' && /^[a-z0-9_-]+$/.test(word)
    return [
      {
        word: reversed(word),
        bound: bound === 'both' ? bound : 'none',
        turned: 'mirrored',
        isShort,
        bare: bound,
        isMark,
      },
      // What is rotated to itself is found as it stands.
      ...(rotation === word ? [] : [{ word: rotation, bound, turned: 'rotated' as const, isShort, isMark }]),
    ]
  })
}

const gate = buildGate(announcements)
const none: readonly number[] = []

export function read({ text, lossy, stepsAt }: Omit<View, 'origin'>, facts: Facts): Reading {
  const found: number[][] = []
  const announced: { family: number; start: number }[] = []
  const mirroredWords: number[] = []
  const rotatedWords: number[] = []
  let shortSecrets = false
  gate.scan(text, (index, start, end) => {
    const { topic, family, isShort, turned, isMark, bare } = announcements[index] as Announcement
    if (turned !== undefined) {
      if (bare === 'left' && isWordAt(text, end)) return
      if (isMark && !isInRun(facts.blobs, start)) return
      ;(turned === 'mirrored' ? mirroredWords : rotatedWords).push(start)
    }
    if (isShort) shortSecrets = true
    if (family !== undefined) announced.push({ family, start })
    if (topic === undefined) return
    const starts = found[topic]
    if (starts) starts.push(start)
    else found[topic] = [start]
  })
  // Words end in order; a long one may have begun before a short one.
  for (const starts of found) starts?.sort((a, b) => a - b)
  mirroredWords.sort((a, b) => a - b)
  rotatedWords.sort((a, b) => a - b)
  const words = (topic: Topic) => found[placeOf[topic]] ?? none
  return {
    text,
    lossy,
    stepsAt,
    hasDigits: facts.digitRuns.length > 0,
    facts,
    shortSecrets,
    mirroredWords,
    rotatedWords,
    announced,
    words,
    near: (topic, start, end, before, after = 0) => {
      const starts = words(topic)
      const first = starts[firstAtLeast(starts, start - before)]
      return first !== undefined && first < end + after
    },
  }
}

/** Is the place in one of the runs, which are in order? */
function isInRun(runs: readonly Run[], at: number): boolean {
  const run = runs[firstIndexWhere(runs, ([, end]) => end > at)]
  return run !== undefined && run[0] <= at
}

function firstIndexWhere<T>(sorted: readonly T[], is: (each: T) => boolean): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (is(sorted[middle] as T)) high = middle
    else low = middle + 1
  }
  return low
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

/** Before and behind a number, as far as patterns of numbers look. */
const numberMargin = 20

/** Every match of a global pattern that begins with a number that may be one, a few signs before it aside. */
export function* numberMatches(
  pattern: RegExp,
  { text, facts }: Reading,
  mayBe: (run: NumberRun, text: string) => boolean,
): Generator<{ readonly index: number; readonly match: RegExpExecArray }> {
  for (const run of facts.numbers) {
    if (!mayBe(run, text)) continue
    const from = Math.max(0, run.start - numberMargin)
    const stretch = text.slice(from, run.end + numberMargin)
    pattern.lastIndex = 0
    for (let match = pattern.exec(stretch); match; match = pattern.exec(stretch)) {
      const { lastIndex } = pattern
      const index = from + match.index
      // What stands before it is another number's, and was cut.
      if (isWithin(index, run)) yield { index, match }
      pattern.lastIndex = lastIndex
    }
  }
}

const isWithin = (index: number, { start, end }: NumberRun): boolean => index >= start - 4 && index < end

/** Does the character belong to a word? What lies outside the text does not. */
export function isInWord(character: string | undefined): boolean {
  return character !== undefined && /[A-Za-z0-9_]/.test(character)
}
