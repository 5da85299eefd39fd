/** Looks for a value in bytes that left, however it could be spelled. Knows nothing of the router. */
import { deflateSync, gunzipSync, inflateSync } from 'node:zlib'

/** The spellings of a value that are looked for: as it is, without what separates, backwards, rotated, and in the usual encodings. */
export function spellings(value: string): string[] {
  const bare = value.replace(/[^A-Za-z0-9@]/g, '')
  const plain = [value, bare, reversed(value), reversed(bare), rot13(value), rot13(bare)]
  const encoded = [value, bare, reversed(value)].flatMap((each) => {
    const bytes = Buffer.from(each, 'utf8')
    return [
      ...base64Cores(bytes),
      ...base64Cores(Buffer.from(bytes.toString('base64'))),
      bytes.toString('hex'),
      [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
      [...each].map((character) => `&#${character.codePointAt(0)};`).join(''),
      [...each].map((character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''),
      deflateSync(bytes).toString('base64'),
    ]
  })
  return [...new Set([...plain, ...encoded])].map((each) => each.toLowerCase()).filter((each) => each.length >= 7)
}

/** What Base64 makes of the bytes at each of the three places in which they can stand, without what depends on the neighbours. */
function base64Cores(bytes: Buffer): string[] {
  return [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    const from = shift === 0 ? 0 : shift + 1
    const whole = Math.floor(((shift + bytes.length) * 4) / 3)
    return text.slice(from, whole)
  })
}

const reversed = (text: string): string => [...text].reverse().join('')
const rot13 = (text: string): string =>
  text.replace(/[a-z]/gi, (letter) => {
    const base = letter <= 'Z' ? 65 : 97
    return String.fromCharCode(((letter.charCodeAt(0) - base + 13) % 26) + base)
  })

/** Every reading of what was sent: the bytes, without marks and separators, and with each compressed part unpacked. */
export function readings(sent: string): string[] {
  const folded = sent.normalize('NFKC').replace(/[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]/g, '')
  const spelled = unescaped(unescaped(folded))
  const unmarked = unescaped(spelled.replace(marks, ''))
  const bare = (text: string): string => text.replace(/[^A-Za-z0-9@]/g, '')
  return [
    sent,
    folded,
    spelled,
    bare(sent),
    bare(spelled),
    bare(withoutWords(spelled)),
    bare(unmarked),
    ...unpacked(sent),
  ].map((text) => text.toLowerCase())
}

function unescaped(text: string): string {
  return text
    .replace(/\\u([0-9a-f]{4})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replace(/\\x([0-9a-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replace(/%u([0-9a-f]{4})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replace(/\\+0000([0-9a-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replace(/\+(A[A-Za-z0-9+/]{2,})-/g, (_, run: string) => wide(Buffer.from(run, 'base64')))
    .replace(/&#0000(\d{2,3})/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replace(/\\[nrt]/g, '\n')
    .replace(/&#x([0-9a-f]{1,6});/gi, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replace(/&#(\d{1,6});/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'))
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a colour of a terminal begins with one
const marks = /\u001b\[[0-9;]*m|<!--.*?-->|<\/?\w+>|","k1":"/g

/** UTF-16, the high end first. */
const wide = (bytes: Buffer): string =>
  Buffer.from(bytes.subarray(0, bytes.length & ~1))
    .swap16()
    .toString('utf16le')

const digitWords = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']
const withoutWords = (text: string): string =>
  text.replace(new RegExp(`\\b(?:${digitWords.join('|')})\\b`, 'gi'), (word) =>
    String(digitWords.indexOf(word.toLowerCase())),
  )

function unpacked(sent: string): string[] {
  return (sent.match(/[A-Za-z0-9+/]{24,}={0,2}/g) ?? []).flatMap((run) => {
    const bytes = Buffer.from(run, 'base64')
    for (const expand of [(part: Buffer) => gunzipSync(gunzipSync(part)), gunzipSync, inflateSync]) {
      try {
        return [expand(bytes).toString('utf8')]
      } catch {
        // It is not compressed in this way.
      }
    }
    return [wide(bytes)]
  })
}

/** Which of the values are in what was sent. */
export function leaked(sent: string, values: readonly string[]): string[] {
  const texts = readings(sent)
  return values.filter((value) => spellings(value).some((spelling) => texts.some((text) => text.includes(spelling))))
}
