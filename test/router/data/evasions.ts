/** Ways in which somebody, or a program, could write a value so that a search for it finds nothing. */
import { deflateSync, gzipSync } from 'node:zlib'

export interface Evasion {
  readonly name: string
  /** The texts of one or more messages. */
  readonly apply: (value: string, sentence: (value: string) => string) => readonly string[]
}

const chars = (text: string): string[] => [...text]
const inPlace = (name: string, change: (value: string) => string): Evasion => ({
  name,
  apply: (value, sentence) => [sentence(change(value))],
})
const wholly = (name: string, change: (text: string) => string): Evasion => ({
  name,
  apply: (value, sentence) => [change(sentence(value))],
})

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64')
const wide = (text: string): Buffer => Buffer.from(text, 'utf16le')
const halves = (text: string): string[] => [text.slice(0, text.length >> 1), text.slice(text.length >> 1)]
const hex = (text: string): string => Buffer.from(text, 'utf8').toString('hex')
const percent = (text: string): string => hex(text).replace(/../g, '%$&')
const wideDigits = (text: string): string =>
  text.replace(/[!-~]/g, (character) => String.fromCharCode(character.charCodeAt(0) + 0xfee0))
const lookalikes: Record<string, string> = {
  a: 'а',
  c: 'с',
  e: 'е',
  o: 'о',
  p: 'р',
  x: 'х',
  y: 'у',
  i: 'і',
  A: 'А',
  B: 'В',
  E: 'Е',
  K: 'К',
  M: 'М',
  H: 'Н',
  O: 'О',
  P: 'Р',
  C: 'С',
  T: 'Т',
  X: 'Х',
}
const words = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']
const rot13 = (text: string): string =>
  text.replace(/[a-z]/gi, (letter) => {
    const base = letter <= 'Z' ? 65 : 97
    return String.fromCharCode(((letter.charCodeAt(0) - base + 13) % 26) + base)
  })
const base32 = (text: string): string => {
  const bits = [...Buffer.from(text)].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return (bits.match(/.{1,5}/g) ?? [])
    .map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five.padEnd(5, '0'), 2)])
    .join('')
}

export const evasions: readonly Evasion[] = [
  inPlace('none', (value) => value),
  inPlace('zero width', (value) => chars(value).join('\u200b')),
  inPlace('soft hyphen', (value) => chars(value).join('\u00ad')),
  inPlace('full width', wideDigits),
  inPlace('lookalikes', (value) =>
    chars(value)
      .map((character) => lookalikes[character] ?? character)
      .join(''),
  ),
  inPlace('tag characters', (value) =>
    chars(value)
      .map((character) => String.fromCodePoint(0xe0000 + (character.codePointAt(0) ?? 0)))
      .join(''),
  ),
  inPlace('spaced', (value) => chars(value.replaceAll(' ', '')).join(' ')),
  inPlace('dashed', (value) => chars(value.replace(/[ -]/g, '')).join('-')),
  inPlace('bold', (value) => `${value.slice(0, 5)}**${value.slice(5, 9)}**${value.slice(9)}`),
  inPlace('split line', (value) => `${value.slice(0, value.length >> 1)}\n${value.slice(value.length >> 1)}`),
  inPlace(
    'split, indented',
    (value) => `${value.slice(0, value.length >> 1)}\r\n    ${value.slice(value.length >> 1)}`,
  ),
  inPlace('concatenated', (value) => `"${value.slice(0, value.length >> 1)}" + "${value.slice(value.length >> 1)}"`),
  inPlace('percent', percent),
  inPlace('double percent', (value) => percent(percent(value))),
  inPlace('HTML decimal', (value) =>
    chars(value)
      .map((character) => `&#${character.codePointAt(0)};`)
      .join(''),
  ),
  inPlace('HTML hexadecimal', (value) =>
    chars(value)
      .map((character) => `&#x${character.codePointAt(0)?.toString(16)};`)
      .join(''),
  ),
  inPlace('JSON escapes', (value) =>
    chars(value)
      .map((character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  ),
  wholly('JSON in JSON', (text) => JSON.stringify({ a: JSON.stringify({ b: JSON.stringify({ c: text }) }) })),
  inPlace('quoted-printable', (value) => `${hex(value).replace(/../g, (pair) => `=${pair.toUpperCase()}`)}=\n`),
  wholly('Base64', base64),
  inPlace('Base64 of the value', base64),
  wholly('Base64, lines of 40', (text) => base64(text).replace(/.{40}/g, '$&\n')),
  wholly('double Base64', (text) => base64(base64(text))),
  wholly('Base64 of percent', (text) => base64(percent(text))),
  wholly('Base32', base32),
  wholly('hexadecimal', hex),
  wholly('spaced hexadecimal', (text) => hex(text).replace(/..(?=.)/g, '$& ')),
  wholly('gzip in Base64', (text) => gzipSync(text).toString('base64')),
  wholly('deflate in Base64', (text) => deflateSync(text).toString('base64')),
  wholly('backwards', (text) => chars(text).reverse().join('')),
  wholly('ROT13', rot13),
  inPlace('tags between', (value) => chars(value).join('<b></b>')),
  inPlace('a comment between', (value) => halves(value).join('<!-- x -->')),
  inPlace('colours of a terminal', (value) => `\u001b[31m${halves(value).join('\u001b[0m\u001b[1;32m')}\u001b[0m`),
  inPlace('HTML without semicolons', (value) =>
    chars(value)
      .map((character) => `&#0000${character.codePointAt(0)}`)
      .join(''),
  ),
  inPlace('wide percent', (value) => hex(value).replace(/../g, '%u00$&')),
  inPlace('escapes of style sheets', (value) => hex(value).replace(/../g, '\\0000$&')),
  inPlace('UTF-7', (value) => `+${wide(value).swap16().toString('base64').replace(/=+$/, '')}-`),
  wholly('UTF-16 in Base64', (text) => wide(text).swap16().toString('base64')),
  wholly('gzip twice in Base64', (text) => gzipSync(gzipSync(text)).toString('base64')),
  inPlace('under two names', (value) =>
    JSON.stringify(Object.fromEntries(halves(value).map((half, at) => [`k${at}`, half]))),
  ),
  inPlace('digits in words', (value) =>
    value.replace(/\d/g, (digit) => ` ${words[Number(digit)]} `).replace(/ +/g, ' '),
  ),
  inPlace('at and dot', (value) => value.replace('@', ' (at) ').replaceAll('.', ' dot ')),
  {
    name: 'split between messages',
    apply: (value, sentence) => {
      const [before = '', after = ''] = sentence('\0').split('\0')
      const half = value.length >> 1
      return [`${before}${value.slice(0, half)}`, `${value.slice(half)}${after}`]
    },
  },
]
