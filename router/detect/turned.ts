/**
 * Where a text could hold anything back to front, or rotated. To read all of it turned doubles the work, and nearly always for nothing: what proves itself when turned
 * is an address with a known ending, a bank account, a number by its digits, an encoding, or what a turned word announces. Only their surroundings are read so.
 */
import { decodeBlob, isSmall, mayDecode, type UnitAt } from '../view/blob.js'
import { type Run, reachOf } from '../view/facts.js'
import { reversed, rotated, rotatedUnit } from '../view/turn.js'
import { isAlphanumeric, isCountry, isDigit, isIbanAt, isNumberOfPerson, mayBeNumberOfPerson } from './number.js'
import { isKnownEnding } from './online.js'
import type { Reading } from './reading.js'

interface Turning {
  readonly turn: (text: string) => string
  readonly unitAt: UnitAt
  /** Starts of words that announce something when turned. */
  readonly words: readonly number[]
  /** Where a mail address would go on with its domain, once turned. */
  readonly domainAt: (text: string, sign: number) => string
  /** The two letters, once turned, that would stand before a run of digits, perhaps with a space between; and what, as it is, would stand before them. */
  readonly countryAt: (
    text: string,
    start: number,
    end: number,
  ) => readonly [first: number, second: number, beyond: number]
  /** Is there an account, once turned, of which these digits are the first? */
  readonly isAccount: (text: string, start: number, end: number) => boolean
  /** Does turning change digits? Where it does not, a number is found as it stands, or by the word that announces it. */
  readonly turnsDigits: boolean
}

/** About as much as detectors look around. */
const reach = 128
const longestDomain = 255
const longestIban = 72
/** Two letters, a space, and what must be no letter. */
const beforeDigits = 4
const signs = /[%&\\=]/g
/** What decode.ts takes for an escape, or more. */
const escaped = /%[0-9a-f]{2}|&(?:#|[a-z]{2,8};)|\\\S|=(?:40|3D|2E|20|2D|[0-9A-F]{2}=|\r?\n)/i
const shortRun = 24
/** Whether it can be decoded does not hang on how much may be made of it. */
const enough = 1024 * 1024

export const mirrorsIn = (reading: Reading): Run[] =>
  turnedIn(reading, {
    turn: reversed,
    unitAt: (text, _, end, at) => text.charCodeAt(end - 1 - at),
    words: reading.mirroredWords,
    domainAt: (text, sign) => {
      let start = sign
      while (start > 0 && sign - start < longestDomain && isHost(text.charCodeAt(start - 1))) start -= 1
      return reversed(text.slice(start, sign))
    },
    countryAt: (text, _, end) => {
      const from = text.charCodeAt(end) === 32 ? end + 1 : end
      return [text.charCodeAt(from + 1), text.charCodeAt(from), text.charCodeAt(from + 2)]
    },
    isAccount: (text, start, end) => {
      const to = Math.min(text.length, end + beforeDigits)
      return isIbanAt(reversed(text.slice(Math.max(0, start - longestIban), to)), to - end)
    },
    turnsDigits: true,
  })

export const rotationsIn = (reading: Reading): Run[] =>
  turnedIn(reading, {
    turn: rotated,
    unitAt: (text, start, _, at) => rotatedUnit(text.charCodeAt(start + at)),
    words: reading.rotatedWords,
    domainAt: (text, sign) => {
      let end = sign + 1
      while (end < text.length && end - sign < longestDomain && isHost(text.charCodeAt(end))) end += 1
      return rotated(text.slice(sign + 1, end))
    },
    countryAt: (text, start) => {
      const to = text.charCodeAt(start - 1) === 32 ? start - 1 : start
      return [rotatedUnit(text.charCodeAt(to - 2)), rotatedUnit(text.charCodeAt(to - 1)), text.charCodeAt(to - 3)]
    },
    isAccount: (text, start, end) => {
      const from = Math.max(0, start - beforeDigits)
      return isIbanAt(rotated(text.slice(from, end + longestIban)), start - from)
    },
    turnsDigits: false,
  })

const isHost = (code: number): boolean =>
  (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 48 && code <= 57) || code === 45 || code === 46

function turnedIn({ text, facts }: Reading, turning: Turning): Run[] {
  const { turn, unitAt, words, domainAt, countryAt, isAccount, turnsDigits } = turning
  const found: Run[] = []
  const put = (start: number, end: number): void => void found.push([start, end])
  for (const start of words) put(start, start)
  if (facts.mayEscape || facts.mayQuotePrintable)
    for (const { index } of text.matchAll(signs))
      if (escaped.test(turn(text.slice(Math.max(0, index - 12), index + 12)))) put(index, index)
  for (const [start, end] of facts.blobs) {
    // A word in small letters behind its first is a word, whichever way it is read.
    if (end - start < shortRun && isSmall(text, start + 1, end)) continue
    if (mayDecode(text, start, end, unitAt) && decodeBlob(turn(text.slice(start, end)), enough) !== undefined)
      put(start, end)
  }
  for (let sign = text.indexOf('@'); sign >= 0; sign = text.indexOf('@', sign + 1))
    if (isDomain(domainAt(text, sign))) put(sign, sign)
  for (const number of turnsDigits ? facts.numbers : []) {
    const { start, end } = number
    if (!mayBeNumberOfPerson(number, text)) continue
    if (isNumberOfPerson(turn(text.slice(Math.max(0, start - 20), end + 20)))) put(start, end)
  }
  for (const start of facts.digitRuns) {
    let end = start + 1
    while (isDigit(text.charCodeAt(end))) end += 1
    if (end - start < 2) continue
    const [first, second, beyond] = countryAt(text, start, end)
    if (!isCountry(first, second) || isAlphanumeric(beyond)) continue
    if (isAccount(text, start, end)) put(start, end)
  }
  return reachOf(found, reach, text.length, facts.blobs)
}

const host = /^[A-Za-z0-9.-]*/

function isDomain(text: string): boolean {
  if (!text.includes('.')) return false
  const [, ...labels] = (host.exec(text)?.[0] ?? '').split('.')
  return labels.some((label) => isKnownEnding(/^[A-Za-z]*/.exec(label)?.[0] ?? ''))
}
