/** A canonical text as the tagger sees it: words, numbers, signs and line ends, each with what it looks like. */
import type { Dictionary } from './dictionary.js'

export interface Token {
  readonly text: string
  /** In UTF-16 units of the text. */
  readonly start: number
  readonly end: number
}

const token = /[A-Za-z\u0080-\uffff]+(?:'[A-Za-z\u0080-\uffff]+)*|\d+|\n+|[^\s\d]/g

export function tokensOf(text: string): Token[] {
  const found: Token[] = []
  for (const match of text.matchAll(token))
    found.push({ text: match[0], start: match.index, end: match.index + match[0].length })
  return found
}

/** Pieces of a spelling that the model looks up, and how many rows its table has; row 0 stands for none. */
export const pieces = 24
export const rows = 16_384
/** Facts of a token beside its spelling. */
export const facts = 20

export interface Features {
  /** [tokens, pieces] */
  readonly spelling: Int32Array
  /** [tokens, facts] */
  readonly looks: Float32Array
}

const isWord = (text: string): boolean => /^[A-Za-z\u0080-\uffff]/.test(text)

export function featuresOf(text: string, tokens: readonly Token[], dictionary: Dictionary): Features {
  const spelling = new Int32Array(tokens.length * pieces)
  const looks = new Float32Array(tokens.length * facts)
  for (const index of tokens.keys()) writeFeatures(seenAt(text, tokens, index), { spelling, looks }, index, dictionary)
  return { spelling, looks }
}

/** All that the model is told of a token. */
export interface SeenToken {
  readonly spelled: string
  /** White space stands before it. */
  readonly isSpaced: boolean
  /** Nothing, or the end of a sentence or line, is before it. */
  readonly isFirst: boolean
}

export function seenAt(text: string, tokens: readonly Token[], index: number): SeenToken {
  const { text: spelled, start } = tokens[index] as Token
  const before = tokens[index - 1]?.text
  return {
    spelled,
    isSpaced: start > 0 && /\s/.test(text[start - 1] ?? ' '),
    isFirst: before === undefined || /^[\n.!?:]/.test(before),
  }
}

/** @param row of both, all zeros */
export function writeFeatures(
  { spelled, isSpaced, isFirst }: SeenToken,
  { spelling, looks }: Features,
  row: number,
  dictionary: Dictionary,
): void {
  spelling.set(piecesOf(spelled), row * pieces)
  const set = (fact: number, is: boolean): void => {
    if (is) looks[row * facts + fact] = 1
  }
  const kind = /^\d/.test(spelled) ? 'digits' : isWord(spelled) ? 'word' : spelled.startsWith('\n') ? 'line' : 'sign'
  set(0, kind === 'word')
  set(1, kind === 'digits')
  set(2, kind === 'line')
  set(3, kind === 'sign')
  set(4, isSpaced)
  set(5, isFirst)
  if (kind === 'digits') set(5 + Math.min(6, spelled.length), true)
  if (kind !== 'word') return
  const lower = spelled.toLowerCase()
  set(12, spelled === lower)
  set(13, isCapitalised(spelled))
  set(14, spelled.length > 1 && spelled === spelled.toUpperCase())
  set(15, spelled.length === 1)
  set(16, dictionary.has(lower))
  set(17, dictionary.composes(lower))
  set(18, spelled.length > 9)
  set(19, spelled.length > 3 && spelled.length <= 9)
}

/** One capital, and small letters behind it. */
export const isCapitalised = (word: string): boolean => /^[A-Z]/.test(word) && /[a-z]/.test(word)

/** The whole, and overlapping runs of three and four letters of it, as rows of the table. */
function piecesOf(spelled: string): number[] {
  const bound = `<${spelled.toLowerCase().slice(0, 24)}>`
  const found = [rowOf(bound, 0, bound.length, 1), rowOf(bound, 0, Math.min(3, bound.length), 2)]
  for (const length of [3, 4, 5])
    for (let at = 0; at + length <= bound.length && found.length < pieces; at += 1)
      found.push(rowOf(bound, at, at + length, length))
  return found
}

/** FNV-1a, over the rows but the first. */
function rowOf(text: string, start: number, end: number, seed: number): number {
  let hash = 0x811c9dc5 ^ seed
  for (let at = start; at < end; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return 1 + ((hash >>> 0) % (rows - 1))
}
