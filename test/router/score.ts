/** Counts what was found of what is there. A find counts where it overlaps a marked place of its kind. */
import { type ClassifySettings, classify, type Finding } from '../../router/classify.js'
import { namesIn } from '../../router/tagger/names.js'
import { type Tagger, tagKinds } from '../../router/tagger/tagger.js'
import type { Sample } from './data/template.js'

export interface Score {
  readonly there: number
  readonly missed: readonly string[]
  readonly found: number
  readonly wrong: readonly string[]
}

export const recall = ({ there, missed }: Score): number => (there === 0 ? 1 : 1 - missed.length / there)
export const precision = ({ found, wrong }: Score): number => (found === 0 ? 1 : 1 - wrong.length / found)

export const testSettings: ClassifySettings = { regions: ['DE', 'US', 'GB'], unmarked: 'INTERNAL' }

/** A date of birth is a date too. */
const sameKind = (found: string, wanted: string): boolean => (found === 'birth-date' ? 'date' : found) === wanted

export function score(samples: readonly Sample[], kinds: readonly string[]): Score {
  const missed: string[] = []
  const wrong: string[] = []
  let there = 0
  let found = 0
  for (const { text, marked } of samples) {
    const findings = classify(text, testSettings).findings.map(({ kind, span }) => ({ kind, ...span }))
    for (const kind of kinds) {
      const wanted = marked.filter((each) => each.kind === kind)
      const got = findings.filter((each) => sameKind(each.kind, kind))
      there += wanted.length
      found += got.length
      for (const { start, end } of wanted)
        if (!got.some((each) => each.start < end && start < each.end))
          missed.push(`${kind} ${text.slice(start, end)} in ${text.slice(0, 80)}`)
      for (const { start, end } of got)
        if (!wanted.some((each) => each.start < end && start < each.end))
          wrong.push(`${kind} ${text.slice(start, end)} in ${text.slice(0, 80)}`)
    }
  }
  return { there, missed, found, wrong }
}

export interface Masking {
  /** Places of each kind, and how many of them were masked whole, by whatever kind. */
  readonly there: Readonly<Record<string, number>>
  readonly masked: Readonly<Record<string, number>>
  readonly leaked: readonly string[]
  /** Words outside of them, and those that were masked all the same. */
  readonly others: number
  readonly othersMasked: readonly string[]
  /** Texts in which something was left standing. */
  readonly leakingTexts: number
}

/** Words, and parts of numbers: what is masked of a place is counted by them. */
/** Texts of one question to the tagger. */
const atOnce = 40
const words = /[\p{L}\p{M}\p{N}]+/gu

export async function scoreMasking(samples: readonly Sample[], tagger: Tagger): Promise<Masking> {
  const tagged: (readonly Finding[])[] = []
  for (let from = 0; from < samples.length; from += atOnce) {
    const texts = samples.slice(from, from + atOnce).map(({ text }) => text)
    tagged.push(...(await namesIn(texts, tagger, tagKinds, testSettings)))
  }
  const there: Record<string, number> = {}
  const masked: Record<string, number> = {}
  const leaked: string[] = []
  const othersMasked: string[] = []
  let [others, leakingTexts] = [0, 0]
  for (const [index, { text, marked }] of samples.entries()) {
    const isMasked = (start: number, end: number): boolean =>
      tagged[index]?.some(({ span }) => span.start <= start && end <= span.end) === true
    const all = [...text.matchAll(words)].map(({ 0: word, index: start }) => ({
      word,
      start,
      end: start + word.length,
    }))
    let isLeaking = false
    for (const { kind, start, end } of marked) {
      there[kind] = (there[kind] ?? 0) + 1
      const open = all.filter((each) => each.start >= start && each.end <= end && !isMasked(each.start, each.end))
      if (open.length === 0) masked[kind] = (masked[kind] ?? 0) + 1
      else {
        isLeaking = true
        leaked.push(`${kind} ${text.slice(start, end)} in ${text.slice(0, 90)}`)
      }
    }
    if (isLeaking) leakingTexts += 1
    for (const { word, start, end } of all) {
      if (marked.some((place) => place.start < end && start < place.end)) continue
      others += 1
      if (isMasked(start, end)) othersMasked.push(`${word} in ${text.slice(0, 90)}`)
    }
  }
  return { there, masked, leaked, others, othersMasked, leakingTexts }
}

export const lowerCased = ({ marked, text }: Sample): Sample => ({ marked, text: text.toLowerCase() })
