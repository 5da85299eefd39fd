/** Counts what was found of what is there. A find counts where it overlaps a marked place of its kind. */
import { type ClassifySettings, classify } from '../../router/classify.js'
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
