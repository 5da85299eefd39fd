/** Addresses of the net: mail, web, IP. Each begins at a sign that prose hardly has. */
import { isIPv4, isIPv6 } from 'node:net'
import { mayBeFourNumbers } from './number.js'
import { type Found, isInWord, numberMatches, type Reading } from './reading.js'

/** Characters as a table: a pattern for each of them would cost ten times as much. */
function tableOf(pattern: RegExp): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) => (pattern.test(String.fromCharCode(code)) ? 1 : 0))
}

const isOf = (table: Uint8Array, code: number): boolean => code < 128 && table[code] === 1

const local = tableOf(/[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]/)
const frame = tableOf(/[.!#$%&'*/=?^`{|}~-]/)
const domain =
  /@(?:\[?(?:\d{1,3}\.){3}\d{1,3}\]?|(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}([A-Za-z]{2,24}|xn--[A-Za-z0-9-]{2,40}))/y
const longestLocal = 64

/** Endings that prove a domain where the text around it was put together. */
const commonEndings = new Set(
  'com org net edu gov mil int info biz io dev app ai co me tv cloud online shop site tech xyz test example invalid de at ch li eu uk fr it es nl be pl cz se no dk fi ie pt gr hu ro ru ua us ca au nz jp cn in br mx za kr sg hk tr'.split(
    ' ',
  ),
)

/** In whatever case. */
export const isKnownEnding = (ending: string): boolean => commonEndings.has(ending.toLowerCase())

export function emails({ text, lossy }: Reading): Found[] {
  const found: Found[] = []
  for (let sign = text.indexOf('@'); sign >= 0; sign = text.indexOf('@', sign + 1)) {
    domain.lastIndex = sign
    const match = domain.exec(text)
    if (!match) continue
    if (lossy && !commonEndings.has(match[1]?.toLowerCase() ?? '')) continue
    let start = quotedLocal(text, sign)
    if (start === sign) {
      while (start > 0 && sign - start < longestLocal && isOf(local, text.charCodeAt(start - 1))) start -= 1
      // What only frames an address is not part of it.
      while (start < sign && isOf(frame, text.charCodeAt(start))) start += 1
    }
    if (start < sign) found.push({ kind: 'email', start, end: sign + match[0].length })
  }
  return found
}

/** The start of `"john doe"@…`, or the sign itself. */
function quotedLocal(text: string, sign: number): number {
  if (text[sign - 1] !== '"') return sign
  const from = Math.max(0, sign - longestLocal - 2)
  const open = text.slice(from, sign - 1).lastIndexOf('"')
  return open >= 0 && /^"[\w .-]+"$/.test(text.slice(from + open, sign)) ? from + open : sign
}

const scheme = tableOf(/[A-Za-z0-9+.-]/)
const hostAndPort = tableOf(/[A-Za-z0-9.:-]/)
const rest = /[^\s"'`<>\\^{|}]{1,2048}/y
const bareUrl =
  /(?<![A-Za-z0-9@._/-])(?:www\.[A-Za-z0-9-]{1,63}\.[A-Za-z]{2,24}[^\s"'`<>\\^{|}]{0,2048}|(?:[A-Za-z0-9-]{1,63}\.){1,5}([A-Za-z]{2,12})(?::\d{2,5})?\/[^\s"'`<>\\^{|}]{0,2048})/y

export function* urls({ text, lossy }: Reading): Generator<Found> {
  if (lossy) return
  for (let sign = text.indexOf('://'), done = 0; sign >= 0; sign = text.indexOf('://', Math.max(sign + 3, done))) {
    let start = sign
    while (start > 0 && sign - start < 16 && isOf(scheme, text.charCodeAt(start - 1))) start -= 1
    rest.lastIndex = sign + 3
    const match = rest.exec(text)
    if (start === sign || !match) continue
    done = sign + 3 + match[0].length
    yield { kind: 'url', start, end: trimmedEnd(text, start, done) }
  }
  for (const start of bareStarts(text)) {
    bareUrl.lastIndex = start
    const match = bareUrl.exec(text)
    if (!match || (match[1] !== undefined && !commonEndings.has(match[1].toLowerCase()))) continue
    yield { kind: 'url', start, end: trimmedEnd(text, start, start + match[0].length) }
  }
}

/** Where `www.` stands, and where a name with a dot that a slash follows begins. */
function* bareStarts(text: string): Generator<number> {
  for (let at = text.indexOf('www.'); at >= 0; at = text.indexOf('www.', at + 4)) yield at
  for (let slash = text.indexOf('/'); slash >= 0; slash = text.indexOf('/', slash + 1)) {
    if (text[slash + 1] === '/' || text[slash - 1] === '/') continue
    let start = slash
    while (start > 0 && slash - start < 128 && isOf(hostAndPort, text.charCodeAt(start - 1))) start -= 1
    const host = text.slice(start, slash)
    if (host.includes('.') && !host.startsWith('www.') && text[start - 1] !== '/') yield start
  }
}

/** Without the punctuation of the sentence, and without a bracket that was opened outside. */
function trimmedEnd(text: string, start: number, end: number): number {
  let surplus = 0
  for (let at = start; at < end; at += 1)
    surplus += ')]'.includes(text[at] ?? ' ') ? 1 : '(['.includes(text[at] ?? ' ') ? -1 : 0
  let last = end
  for (; last > start; last -= 1) {
    const character = text[last - 1] ?? ''
    if (')]'.includes(character) && surplus > 0) surplus -= 1
    else if (!'.,;:!?*_'.includes(character)) break
  }
  return last
}

const fourNumbers = /(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)/g

export function ips(reading: Reading): Found[] {
  const { text, lossy } = reading
  if (lossy) return []
  const found: Found[] = []
  for (const { index, match } of numberMatches(fourNumbers, reading, mayBeFourNumbers)) {
    const [address] = match
    if (!isIPv4(address) || reading.near('version', index, index, 12)) continue
    found.push({ kind: 'ip', start: index, end: index + address.length })
  }
  return [...found, ...longAddresses(text)]
}

const sixPart = tableOf(/[0-9A-Fa-f:.]/)
const sixDigit = tableOf(/[0-9A-Fa-f]/)
const colonCode = 58
const longestSix = 46

function longAddresses(text: string): Found[] {
  const found: Found[] = []
  for (let colon = text.indexOf(':'), done = 0; colon >= 0; colon = text.indexOf(':', Math.max(colon + 1, done))) {
    const next = text.charCodeAt(colon + 1)
    if (next !== colonCode && !isOf(sixDigit, next)) continue
    let start = colon
    while (start > done && colon - start < 5 && isOf(sixPart, text.charCodeAt(start - 1))) start -= 1
    let end = colon + 1
    while (end < text.length && end - start < longestSix && isOf(sixPart, text.charCodeAt(end))) end += 1
    while (end > colon + 1 && (text[end - 1] === '.' || (text[end - 1] === ':' && text[end - 2] !== ':'))) end -= 1
    if (isInWord(text[start - 1]) || isInWord(text[end]) || !hasTwoColons(text, start, end)) continue
    if (!isAddress(text.slice(start, end))) continue
    found.push({ kind: 'ip', start, end })
    done = end
  }
  return found
}

/** A time of day has one. */
const hasTwoColons = (text: string, start: number, end: number): boolean => {
  const first = text.indexOf(':', start)
  const second = text.indexOf(':', first + 1)
  return second >= 0 && second < end
}

/** `a::b` is an address too, and also C++. */
function isAddress(candidate: string): boolean {
  if (!isIPv6(candidate) || candidate === '::') return false
  return /\d/.test(candidate) || candidate.split(':').filter(Boolean).length >= 3
}
