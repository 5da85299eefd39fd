/** What a run of Base64, Base32 or hexadecimal spells, if it spells text at all, compressed or not. */
import { gunzipSync, inflateSync } from 'node:zlib'

/**
 * Told by what does not belong: to match a run that may be megabytes long from end to end, the engine would keep its place at every character.
 */
const notHex = /[^0-9a-f]/i
const notBase64 = /[^A-Za-z0-9+/_-]/
const notBase32 = /[^A-Z2-7]/i
const printableShare = 0.95

export interface Decoded {
  text: string
  step: string
}

/** It is an encoding, and what it encodes cannot be read: an archive, or more than may be unpacked. */
export interface Closed {
  closed: 'opaque' | 'unread'
}

/**
 * @param most units of text that it may become
 * @returns undefined where it is no encoding of text
 */
export function decodeBlob(run: string, most: number): Decoded | Closed | undefined {
  if (!mayDecode(run, 0, run.length)) return undefined
  const digits = run.startsWith('0x') ? run.slice(2) : run
  const bare = withoutPadding(run)
  const isHex = digits.length % 2 === 0 && !notHex.test(digits)
  return (
    (isHex ? readText(Buffer.from(digits, 'hex'), most, 'hex') : undefined) ??
    (notBase64.test(bare) ? undefined : readText(Buffer.from(run, 'base64'), most, 'base64')) ??
    (notBase32.test(bare) ? undefined : readText(fromBase32(bare), most, 'base32'))
  )
}

const sampleUnits = 96
const sixBits = new Int8Array(65536).fill(-1)
for (const [index, character] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries())
  sixBits[character.charCodeAt(0)] = index
sixBits['-'.charCodeAt(0)] = 62
sixBits['_'.charCodeAt(0)] = 63
const fourBits = new Int8Array(65536).fill(-1)
for (const [index, character] of [...'0123456789abcdef'].entries()) fourBits[character.charCodeAt(0)] = index
for (const [index, character] of [...'ABCDEF'].entries()) fourBits[character.charCodeAt(0)] = 10 + index
const fiveBits = new Int8Array(65536).fill(-1)
for (const [index, character] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'].entries()) {
  fiveBits[character.charCodeAt(0)] = index
  fiveBits[character.toLowerCase().charCodeAt(0)] = index
}
const padding = 61

/** The units of a run in the order and spelling in which it is read. */
export type UnitAt = (text: string, start: number, end: number, at: number) => number
export const plainUnit: UnitAt = (text, start, _, at) => text.charCodeAt(start + at)

/**
 * Could the run be an encoding of text, compressed or not? Looks at its first bytes, and errs towards yes. Most runs are names, hashes and keys, and cost
 * nothing more.
 */
export function mayDecode(text: string, start: number, end: number, unitAt: UnitAt = plainUnit): boolean {
  const length = Math.min(end - start, sampleUnits)
  const base64 = new Sample()
  const base32 = new Sample()
  const hex = new Sample()
  let isHex = true
  let isBase32 = true
  let held = 0
  let bits = 0
  let held32 = 0
  let bits32 = 0
  let isPadded = false
  for (let at = 0; at < length; at += 1) {
    const unit = unitAt(text, start, end, at)
    const five = fiveBits[unit] as number
    if (five < 0 && unit !== padding) isBase32 = false
    if (isBase32 && five >= 0) {
      held32 = ((held32 << 5) | five) & 0xfff
      bits32 += 5
      if (bits32 >= 8) {
        bits32 -= 8
        base32.add((held32 >> bits32) & 0xff)
      }
    }
    const half = fourBits[unit] as number
    // The x of `0x`, whose zero then shifts nothing by an odd number.
    if (half < 0 && !(at === 1 && (unit === 120 || unit === 88))) isHex = false
    else if (half >= 0 && at % 2 === 1) hex.add(((fourBits[unitAt(text, start, end, at - 1)] as number) << 4) | half)
    const value = sixBits[unit] as number
    if (value < 0) isPadded = true
    if (isPadded) continue
    held = ((held << 6) | value) & 0xffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      base64.add((held >> bits) & 0xff)
    }
  }
  return (isBase32 && base32.mayBeText) || base64.mayBeText || (isHex && hex.mayBeText)
}

/** Nothing in it but small letters and signs? */
export function isSmall(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const unit = text.charCodeAt(at)
    if ((unit >= 65 && unit <= 90) || (unit >= 48 && unit <= 57)) return false
  }
  return true
}

/** First bytes of what may be text. Such as are surely none are counted; those that only may be none are not. */
class Sample {
  #count = 0
  #bad = 0
  #last = 0
  #isKnown = false
  #hasZeros = false

  add(byte: number): void {
    const at = this.#count
    this.#count += 1
    if (at >= sampleBytes) return
    // Compressed, an archive, or wide text: whatever begins so is decoded.
    if (at === 0) this.#isKnown = byte === 0x1f || byte === 0x78 || archives.some((mark) => mark[0] === byte)
    if (at === 0 && (byte === 0xff || byte === 0xfe)) this.#isKnown = true
    if (at < 2 && byte === 0) this.#hasZeros = true
    if (byte < 0x20 ? byte !== 9 && byte !== 10 && byte !== 13 : byte === 0x7f) this.#bad += 1
    // A byte that leads and is not followed stands for a character that is none.
    if (this.#last >= 0xc0 && (byte & 0xc0) !== 0x80) this.#bad += 1
    this.#last = byte
  }

  get mayBeText(): boolean {
    return (
      this.#isKnown ||
      this.#hasZeros ||
      this.#bad <= Math.ceil(Math.min(this.#count, sampleBytes) * (1 - printableShare))
    )
  }
}

function readText(bytes: Buffer, most: number, step: string): Decoded | Closed | undefined {
  if (archives.some((mark) => mark[0] === bytes[0] && mark.equals(bytes.subarray(0, mark.length))))
    return { closed: 'opaque' }
  const plain = expand(bytes, most)
  if (plain === undefined || plain === 'too much') return plain && { closed: 'unread' }
  if (plain.length < 6) return undefined
  const narrow = narrowed(plain)
  const encoding = narrow === plain ? 'utf8' : 'utf16le'
  if (!isPrintable(narrow.subarray(0, sampleBytes).toString(encoding))) return undefined
  const text = narrow.toString(encoding)
  if (!isPrintable(text)) return undefined
  return text.length > most ? { closed: 'unread' } : { text, step }
}

/** Text in UTF-16 or UTF-32, either end first, as UTF-16 with the low end first; anything else as it is. It has a zero in every other place, or three of four. */
function narrowed(bytes: Buffer): Buffer {
  const isMarked = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)
  const text = isMarked ? bytes.subarray(2) : bytes
  const isZero = (...places: number[]): boolean => places.every((at) => text[at] === 0)
  if (isZero(1, 2, 3, 5, 6, 7)) return whole(Buffer.from(text.filter((_, at) => at % 4 < 2)))
  if (isZero(0, 1, 2, 4, 5, 6)) return whole(Buffer.from(text.filter((_, at) => at % 4 > 1))).swap16()
  if (isZero(1, 3)) return whole(text)
  if (isZero(0, 2)) return Buffer.from(whole(text)).swap16()
  return bytes
}

/** Without half a unit at its end. */
const whole = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length & ~1)

/** Most of what is no text shows it at once. */
const sampleBytes = 64

function isPrintable(text: string): boolean {
  const most = Math.ceil(text.length * (1 - printableShare))
  let bad = 0
  for (let at = 0; at < text.length && bad <= most; at += 1) if (!isPrintableCode(text.charCodeAt(at))) bad += 1
  return bad <= most
}

/** Neither a control character nor what stands for bytes that are none. */
function isPrintableCode(code: number): boolean {
  if (code < 0x20) return code === 9 || code === 10 || code === 13
  return code < 0x7f || (code >= 0xa0 && code < 0xfffd)
}

/** The first bytes of zip, bzip2, xz, zstd, 7z and PDF. */
const archives = ['504b0304', '425a6839', 'fd377a585a00', '28b52ffd', '377abcaf271c', '25504446'].map((mark) =>
  Buffer.from(mark, 'hex'),
)

/** @param again how often more what comes out may be compressed itself */
function expand(bytes: Buffer, most: number, again = 3): Buffer | 'too much' | undefined {
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8
  const isZlib = bytes[0] === 0x78 && ((0x78 << 8) | (bytes[1] ?? 0)) % 31 === 0
  if (!isGzip && !isZlib) return bytes
  try {
    const inner = (isGzip ? gunzipSync : inflateSync)(bytes, { maxOutputLength: Math.max(1, most) })
    return again > 0 ? expand(inner, most, again - 1) : inner
  } catch (error) {
    const isTooMuch = error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
    return isTooMuch ? 'too much' : undefined
  }
}

function withoutPadding(run: string): string {
  let end = run.length
  while (run[end - 1] === '=') end -= 1
  return run.slice(0, end)
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

function fromBase32(run: string): Buffer {
  const bytes: number[] = []
  let bits = 0
  let held = 0
  for (const character of run.toUpperCase()) {
    held = ((held << 5) | alphabet.indexOf(character)) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes.push((held >> bits) & 0xff)
    }
  }
  return Buffer.from(bytes)
}
