/** What a piece of evidence is: words of a source, and the place where they stand in it. Pure. */
import { z } from 'zod'
import { sensitivitySchema } from '../../../policies/router-label.js'
import { joinSensitivity } from '../../../router/label.js'

export const spanSchema = z.object({
  /** Lines of the file, from 1, both ends included. */
  lines: z.tuple([z.int(), z.int()]),
  /** Characters of the file (UTF-16), from 0, the end not included. */
  characters: z.tuple([z.int(), z.int()]),
})
export type Span = z.output<typeof spanSchema>

export const evidenceSchema = z.object({
  /** Relative to the workspace, or a URL: of a page, the places are those of its words. */
  path: z.string(),
  ...spanSchema.shape,
  /** Verbatim: the characters of the file between the two. */
  quote: z.string(),
  seen: sensitivitySchema,
})
export type Evidence = z.output<typeof evidenceSchema>

/** A part of a source that is read at once. */
export interface Passage {
  readonly text: string
  /** Of the file, where it begins. */
  readonly line: number
  readonly character: number
}

/** Passages of whole lines, each about so long; a line that is longer is one by itself. */
export function passagesOf(text: string, characters: number): Passage[] {
  const passages: Passage[] = []
  let [start, line, character] = [{ line: 1, character: 0 }, 1, 0]
  let part = ''
  for (const each of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
    if (part !== '' && part.length + each.length > characters) {
      passages.push({ text: part, ...start })
      part = ''
      start = { line, character }
    }
    part += each
    line += 1
    character += each.length
  }
  if (part.trim() !== '') passages.push({ text: part, ...start })
  return passages
}

/**
 * Where a passage says this; undefined where it does not. Models copy words and change the spaces between them, so runs of white space count alike; nothing
 * else does, and the quote that comes back is the file's own.
 */
export function locate(quote: string, { text, line, character }: Passage): (Span & { quote: string }) | undefined {
  const words = quote.trim().split(/\s+/)
  if (words.join('') === '') return undefined
  const pattern = words.map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('\\s+')
  const found = new RegExp(pattern, 'u').exec(text)
  if (!found) return undefined
  const [whole] = found
  const first = line + breaksIn(text.slice(0, found.index))
  return {
    quote: whole,
    lines: [first, first + breaksIn(whole)],
    characters: [character + found.index, character + found.index + whole.length],
  }
}

const breaksIn = (text: string): number => text.split('\n').length - 1

/** `notes.txt:3` or `notes.txt:3-5` */
export const placeOf = ({ path, lines: [first, last] }: Pick<Evidence, 'path' | 'lines'>): string =>
  first === last ? `${path}:${first}` : `${path}:${first}-${last}`

/** Each place once, though several questions led to it, and as sensitive as any of them saw it; in the order of sources and places. */
export function distinct(evidence: readonly Evidence[]): Evidence[] {
  const byPlace = new Map<string, Evidence>()
  for (const each of evidence) {
    const place = JSON.stringify([each.path, each.characters])
    const before = byPlace.get(place)
    byPlace.set(place, before ? { ...each, seen: joinSensitivity([before.seen, each.seen]) } : each)
  }
  const order = (a: Evidence, b: Evidence) => a.path.localeCompare(b.path, 'en') || a.characters[0] - b.characters[0]
  const all = [...byPlace.values()].sort(order)
  // What another quote of the same file holds whole says nothing more.
  return all.filter(
    (each) =>
      !all.some(
        (other) =>
          other !== each &&
          other.path === each.path &&
          other.characters[0] <= each.characters[0] &&
          other.characters[1] >= each.characters[1],
      ),
  )
}
