/** What a run of Base64, Base32 or hexadecimal spells, if it spells text at all, compressed or not. */
import { gunzipSync, inflateSync } from 'node:zlib'

/**
 * Told by what does not belong: to match a run that may be megabytes long from end to end, the engine would keep its place at every character.
 */
const notHex = /[^0-9a-f]/i
const notBase64 = /[^A-Za-z0-9+/_-]/
const notBase32 = /[^A-Z2-7]/i
const printable = /[\n\r\t\x20-\x7e\u00a0-\ud7ff\ue000-\ufffc]/g
const printableShare = 0.95

export interface Decoded {
  text: string
  step: string
}

/**
 * @param most units of text that it may become: a compressed bomb ends there and counts as unreadable
 * @returns undefined where it is no encoding of text
 */
export function decodeBlob(run: string, most: number): Decoded | undefined {
  const digits = run.startsWith('0x') ? run.slice(2) : run
  if (digits.length % 2 === 0 && !notHex.test(digits)) {
    const text = readText(Buffer.from(digits, 'hex'), most)
    if (text !== undefined) return { text, step: 'hex' }
  }
  const bare = withoutPadding(run)
  if (!notBase64.test(bare)) {
    const text = readText(Buffer.from(run, 'base64'), most)
    if (text !== undefined) return { text, step: 'base64' }
  }
  if (!notBase32.test(bare)) {
    const text = readText(fromBase32(bare), most)
    if (text !== undefined) return { text, step: 'base32' }
  }
  return undefined
}

function readText(bytes: Buffer, most: number): string | undefined {
  const plain = expand(bytes, most)
  if (plain === undefined || plain.length < 6 || plain.length > most * 3) return undefined
  // Wide text has a zero in every other place.
  const wide = plain.length % 2 === 0 && plain[1] === 0 && plain[3] === 0
  const text = wide ? plain.toString('utf16le') : plain.toString('utf8')
  if (text.length > most) return undefined
  const good = text.match(printable)?.length ?? 0
  return good >= text.length * printableShare ? text : undefined
}

function expand(bytes: Buffer, most: number): Buffer | undefined {
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b
  const isZlib = bytes[0] === 0x78 && [0x01, 0x5e, 0x9c, 0xda].includes(bytes[1] ?? 0)
  if (!isGzip && !isZlib) return bytes
  try {
    return (isGzip ? gunzipSync : inflateSync)(bytes, { maxOutputLength: Math.max(1, most) })
  } catch {
    return undefined
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
