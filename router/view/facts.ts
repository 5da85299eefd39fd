/**
 * One pass over a text that says what can be in it at all: where something may hide, where numbers stand, and which further readings are worth while. Whatever
 * it rules out is not looked for, so each answer may only err towards yes.
 */

import { isApart, isPunctuation, isWord, mayBeHalfOfKey } from './split.js'

export type Run = readonly [start: number, end: number]

/** Digits with no more than a few characters between them, as a number is written. */
export interface NumberRun {
  readonly start: number
  readonly end: number
  readonly digits: number
  /** What stands between its digits: `dots`, `dashes` and `slashes`, added up. */
  readonly signs: number
}

export const dots = 1
export const dashes = 2
export const slashes = 4

export interface Facts {
  /** Unbroken runs of the alphabets of Base64 and its kin, at least 12 long. */
  readonly blobs: readonly Run[]
  /** Stretches around tokens that could be an identifier, with their surroundings, in order and apart. */
  readonly dense: readonly Run[]
  /** The same, numbers too that are too short for one. */
  readonly denseOrNumber: readonly Run[]
  /** Line breaks next to such a token, where it may be split; not where one that is a number stands beside a word. */
  readonly breaks: readonly number[]
  readonly numbers: readonly NumberRun[]
  /** Where digits begin. */
  readonly digitRuns: readonly number[]
  /** Percent, HTML, or backslash escapes, or UTF-7. */
  readonly mayEscape: boolean
  readonly mayQuotePrintable: boolean
  /** Character codes that are written out. */
  readonly maySpell: boolean
  /** Single characters with something between them. */
  readonly maySpace: boolean
  /** Quotation marks to join, letters set in bold, tags, or cells of a table. */
  readonly mayPart: boolean
}

const blobFrom = 12
/** A token so long is no word, even without a digit. */
const longFrom = 40
/** With a letter and a digit in it, it may be half a key. */
const mixedFrom = 8
const margin = 48
/** The shortest number that is an identifier: that of social security. */
const identifierFrom = 9
/** What of a token may go on behind the break: nothing, more of a number, or anything. */
const nothing = 0
const numberPart = 1
const anyPart = 2
/** What may stand between two digits of one number, white space aside. */
const mostBetween = 6
const spacedFrom = 7
const codesFrom = 7
const binaryFrom = 48

const space = 1
const alphabet = 2
const letter = 4
const digit = 8
/** A digit or letter of hexadecimal, or the x of `0x`. */
const code = 16
/** Zero and one. */
const bit = 32
/** May stand alone between separators, as a character of something spaced. */
const single = 64
/** May separate such characters. */
const between = 128

const kinds = new Uint8Array(65536)
const mark = (characters: string, kind: number): void => {
  for (const character of characters) kinds[character.charCodeAt(0)] = (kinds[character.charCodeAt(0)] ?? 0) | kind
}
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const digits = '0123456789'
mark(' \t\r\n', space)
mark(`${letters}${digits}+/_-`, alphabet)
mark(letters, letter)
mark(digits, digit)
mark(`${digits}abcdefABCDEFxX`, code)
mark('01', bit)
mark(`${letters}${digits}@.:_+`, single)
mark(' \t*_|./~,-', between)

/** Goes from run to run: of letters, of digits, and over the signs between them one by one. */
export function factsOf(text: string): Facts {
  const { length } = text
  const blobs: Run[] = []
  const dense: [number, number][] = []
  const denseOrNumber: [number, number][] = []
  const numbers: { start: number; end: number; digits: number; signs: number }[] = []
  const digitRuns: number[] = []
  const breaks: number[] = []
  let lineBreak = -1
  let tokensOfLine = 0
  // Behind a number, until the next line says whether it may go on there.
  let undecided = -1
  let lastStart = 0
  let lastEnd = 0
  let lastIs = nothing
  let tailStart = 0
  let tailEnd = 0
  let number: { start: number; end: number; digits: number; signs: number } | undefined
  let gap = 0
  let gapSigns = 0
  let token = 0
  let tokenDigits = 0
  let hasAt = false
  let isPlainNumber = true
  let run = 0
  let word = 0
  let isWordCode = true
  let codes = 0
  let mostCodes = 0
  let singles = 0
  let mostSingles = 0
  let isLastSingle = false
  let bits = 0
  let mostBits = 0
  let quotes = 0
  let isBold = false
  let hasMarks = false
  let mayEscape = false
  let mayQuotePrintable = false
  let last = 0
  for (let index = 0; index <= length; ) {
    const unit = index < length ? text.charCodeAt(index) : 32
    const kind = kinds[unit] as number
    if ((kind & (letter | digit)) !== 0) {
      const sort = kind & (letter | digit)
      let shared = kind
      let end = index + 1
      while (end < length) {
        const next = kinds[text.charCodeAt(end)] as number
        if ((next & sort) === 0) break
        shared &= next
        end += 1
      }
      const size = end - index
      if ((shared & code) === 0) isWordCode = false
      if (sort === digit) {
        digitRuns.push(index)
        if (number !== undefined && gap <= mostBetween) {
          number.end = end
          number.digits += size
          number.signs |= gapSigns
        } else {
          number = { start: index, end, digits: size, signs: 0 }
          numbers.push(number)
        }
        gap = 0
        gapSigns = 0
        tokenDigits += size
        bits = (shared & bit) !== 0 ? bits + size : size
        if (bits > mostBits) mostBits = bits
      } else {
        gap += size
        isPlainNumber = false
        bits = 0
      }
      // A character beside another ends the row.
      singles = isLastSingle || size > 1 ? 1 : singles + 1
      if (singles > mostSingles) mostSingles = singles
      isLastSingle = true
      last = 0
      index = end
      continue
    }
    if (index > word) {
      codes = isWordCode && isCodeLength(text, word, index - word) ? codes + 1 : 0
      if (codes > mostCodes) mostCodes = codes
    }
    word = index + 1
    isWordCode = true
    if ((kind & alphabet) === 0) {
      if (index - run >= blobFrom) {
        let end = index
        while (end < length && end < index + 6 && text.charCodeAt(end) === 61) end += 1
        blobs.push([run, end])
      }
      run = index + 1
    }
    if ((kind & space) !== 0) {
      const isBreak = unit === 10 || unit === 13
      // Signs alone are no token: they quote a line, or stand between a name and its value.
      const isToken = index > token && (tokenDigits > 0 || hasAt || !isPlainNumber)
      if (isToken) {
        const least = tokenDigits === 0 ? longFrom : isPlainNumber ? blobFrom : mixedFrom
        const isNumber = isPlainNumber && !hasAt
        let mayBePart = false
        if (tokenDigits >= 2 || hasAt || index - token >= least || mayBeHalfOfKey(text, token, index)) {
          const end = Math.min(length, index + margin)
          put(denseOrNumber, token - margin, end)
          const isIdentifier = !isPlainNumber || hasAt || index - token >= blobFrom
          const isLong = number !== undefined && number.digits >= identifierFrom
          if (isIdentifier) put(dense, token - margin, end)
          else if (isLong) put(dense, Math.min(token, number?.start ?? token) - margin, end)
          mayBePart = isIdentifier || isLong
        }
        // The break before the line, for the first two tokens of it, and for a number in groups that it stands in.
        const isAcross = number !== undefined && number.start < lineBreak && number.end > lineBreak
        if (lineBreak >= 0 && (tokensOfLine < 2 || isAcross)) {
          const begins = mayBePart && !isApart(text, tailStart, tailEnd, isNumber, tokensOfLine)
          const goesOn = undecided >= 0 && !isWord(text, token, index)
          if ((begins || goesOn) && breaks.at(-1) !== lineBreak) breaks.push(lineBreak)
          undecided = -1
        }
        lastStart = token
        lastEnd = index
        lastIs = !mayBePart
          ? nothing
          : isNumber
            ? numberPart
            : hasAt || !isPunctuation(text, index - 1)
              ? anyPart
              : nothing
        tokensOfLine += 1
      }
      if (isBreak) {
        // What ends the line, before an empty one too.
        if (tokensOfLine > 0) {
          tailStart = lastStart
          tailEnd = lastEnd
          undecided = lastIs === numberPart ? index : -1
          if (lastIs === anyPart) breaks.push(index)
        }
        lineBreak = index
        tokensOfLine = 0
      }
      token = index + 1
      tokenDigits = 0
      hasAt = false
      isPlainNumber = true
    } else {
      gap += 1
      if (unit === 46) gapSigns |= dots
      else if (unit === 45) gapSigns |= dashes
      else if (unit === 47) gapSigns |= slashes
      if (unit !== 44) bits = 0
      if (unit === 34 || unit === 39 || unit === 96) quotes += 1
      else if (unit === 37 || unit === 38 || unit === 92) mayEscape = true
      else if (unit === 43 && text.charCodeAt(index + 1) === 65) mayEscape = true
      else if (unit === 61) mayQuotePrintable = true
      else if (unit === 64) hasAt = true
      else if (unit === 60 || unit === 124) hasMarks = true
      else if (unit === 59 && ((kinds[text.charCodeAt(index + 1)] as number) & (letter | digit)) !== 0) hasMarks = true
      else if (unit === 42 && text.charCodeAt(index + 1) === 47) hasMarks = true
      else if (unit === last && '*_~$'.includes(text[index] ?? ' ')) isBold = true
      else if (unit > 127) isPlainNumber = false
    }
    last = unit
    const isSingle = unit === 64 || unit === 58 || unit === 43
    if ((kind & (single | between)) === 0 || (isSingle && isLastSingle)) singles = 0
    if ((kind & single) !== 0) {
      singles += 1
      if (singles > mostSingles) mostSingles = singles
    }
    isLastSingle = isSingle
    index += 1
  }
  return {
    blobs,
    dense,
    denseOrNumber,
    breaks,
    numbers,
    digitRuns,
    mayEscape,
    mayQuotePrintable,
    maySpell: mostCodes >= codesFrom || mostBits >= binaryFrom,
    maySpace: mostSingles >= spacedFrom,
    mayPart: quotes >= 2 || isBold || hasMarks,
  }
}

/** Two digits, or three of a decimal one; four with `0x` in front. */
const isCodeLength = (text: string, start: number, length: number): boolean =>
  length === 2 || length === 3 || (length === 4 && (text.charCodeAt(start + 1) | 32) === 120)

/** Runs with so much around each, and with the whole of each run of an encoding that they reach into; in order and apart. */
export function reachOf(runs: readonly Run[], reach: number, length: number, blobs: readonly Run[]): Run[] {
  const reached: [number, number][] = []
  for (const [start, end] of runs.toSorted((a, b) => a[0] - b[0])) {
    let [from, to] = [Math.max(0, start - reach), Math.min(length, end + reach)]
    for (let at = firstReaching(blobs, from); at < blobs.length; at += 1) {
      const [first, last] = blobs[at] as Run
      if (first > to) break
      ;[from, to] = [Math.min(from, first), Math.max(to, last)]
    }
    put(reached, from, to)
  }
  return reached
}

/** The first of runs in order that ends there or behind. */
function firstReaching(runs: readonly Run[], place: number): number {
  let low = 0
  let high = runs.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((runs[middle] as Run)[1] < place) low = middle + 1
    else high = middle
  }
  return low
}

function put(dense: [number, number][], start: number, end: number): void {
  let from = Math.max(0, start)
  for (let last = dense.at(-1); last && from <= last[1]; last = dense.at(-1)) {
    from = Math.min(from, last[0])
    dense.pop()
  }
  dense.push([from, end])
}
