import type { ChatMessage } from '../backend.js'

/**
 * Where a copied value may begin and end in a message, as offsets into its UTF-8 bytes.
 *
 * A value begins at a word, after opening quotes and brackets, and ends at a word, before closing ones and before the
 * punctuation of the sentence: in `Count "my notes.txt", please.` these are Count, "my notes.txt" as a whole, its words, please.
 * A value that begins behind an opening quote ends at the quote that closes it.
 */
export interface Spans {
  bytes: Uint8Array
  /** Each place to begin, with the one place to end if that is settled. */
  starts: readonly { at: number; end?: number }[]
  isEnd(at: number): boolean
  lastEnd: number
}

/** The message that the model answers, from which values are copied. */
export function lastUserText(messages: readonly ChatMessage[]): string {
  return messages.findLast(({ role }) => role === 'user')?.content ?? ''
}

const opening = /^["'`“‘«‹„(<[{]+/u
const quotes: Record<string, string> = {
  '"': '"',
  "'": "'",
  '`': '`',
  '“': '”',
  '‘': '’',
  '«': '»',
  '‹': '›',
  '„': '“',
}
const punctuation = /[.,;:?!…]+$/u
const closing = /["'`”’»›“)>\]}]+$/u

export function spansOf(message: string): Spans {
  const quoted = new Map(quotedPieces(message).map(({ at, end }) => [at, end]))
  const starts = new Set<number>(quoted.keys())
  const ends = new Set<number>(quoted.values())
  for (const { 0: word, index } of message.matchAll(/\S+/gu)) {
    const body = word.replace(opening, '')
    if (body !== '') starts.add(index + word.length - body.length)
    for (const end of endsOf(word)) ends.add(index + end)
  }
  const byteAt = byteOffsets(message)
  const endBytes = new Set([...ends].map(byteAt))
  return {
    bytes: new TextEncoder().encode(message),
    starts: [...starts].map((at) => {
      const end = quoted.get(at)
      return end === undefined ? { at: byteAt(at) } : { at: byteAt(at), end: byteAt(end) }
    }),
    isEnd: (at) => endBytes.has(at),
    lastEnd: Math.max(0, ...endBytes),
  }
}

/** Ends of a word: without what closes a sentence, a quote or a bracket; a bracket that is opened inside is part of it. */
function endsOf(word: string): number[] {
  const ends: number[] = []
  const possessive = /['’]s$/u.exec(word.replace(punctuation, ''))
  if (possessive) ends.push(possessive.index)
  let rest = word
  for (let before = ''; before !== rest; ) {
    before = rest
    rest = rest.replace(punctuation, '')
    if (/[)\]}>]$/u.test(rest) && /[([{<]/u.test(rest.slice(1))) ends.push(rest.length)
    rest = rest.replace(closing, '')
  }
  // A word of nothing else, such as '.' for the folder itself, stays whole.
  ends.push(rest === '' ? word.length : rest.length)
  return ends
}

/** Pieces between an opening quote (before a word) and the one of its kind that closes it (after a word). */
function quotedPieces(message: string): { at: number; end: number }[] {
  const pieces: { at: number; end: number }[] = []
  for (let i = 0; i < message.length; i++) {
    const close = quotes[message[i] ?? '']
    if (close === undefined || !opensAt(message, i)) continue
    const end = closesAt(message, i + 1, close)
    if (end === -1) continue
    pieces.push({ at: i + 1, end })
    i = end
  }
  return pieces
}

function opensAt(message: string, i: number): boolean {
  return (i === 0 || /[\s(:=,[{]/u.test(message[i - 1] ?? '')) && /\S/u.test(message[i + 1] ?? '')
}

function closesAt(message: string, from: number, close: string): number {
  for (let end = message.indexOf(close, from); end !== -1; end = message.indexOf(close, end + 1))
    if (end > from && /^(?:$|[\s.,;:?!…)\]}]|['’]s\b)/u.test(message.slice(end + 1, end + 4))) return end
  return -1
}

function byteOffsets(message: string): (at: number) => number {
  const offsets = new Uint32Array(message.length + 1)
  let bytes = 0
  let at = 0
  for (const char of message) {
    for (let unit = 0; unit < char.length; unit++) offsets[at++] = bytes
    const code = char.codePointAt(0) ?? 0
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  }
  offsets[at] = bytes
  return (index) => offsets[index] ?? bytes
}
