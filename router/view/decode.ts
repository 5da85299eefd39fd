/** Views of what a text encodes. Nothing here joins what stood apart: a finding in one of these views counts in full. */
import { type Closed, type Decoded, decodeBlob, isSmall } from './blob.js'
import { rewrite, type View, ViewWriter } from './view.js'

/** As far as detectors look around. */
const margin = 512

const entities: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  commat: '@',
  period: '.',
  colon: ':',
  sol: '/',
  lowbar: '_',
  hyphen: '-',
  dash: '-',
  num: '#',
  plus: '+',
  equals: '=',
  auml: 'a',
  ouml: 'o',
  uuml: 'u',
  szlig: 'ss',
  shy: '',
  zwj: '',
  zwnj: '',
  Tab: '\t',
  NewLine: '\n',
  ZeroWidthSpace: '',
  NoBreak: '',
  InvisibleComma: '',
  InvisibleTimes: '',
  ApplyFunction: '',
  lrm: '',
  rlm: '',
  ensp: ' ',
  emsp: ' ',
  thinsp: ' ',
  numsp: ' ',
  lpar: '(',
  rpar: ')',
  comma: ',',
  semi: ';',
  excl: '!',
  quest: '?',
}

const controls: Record<string, string> = { n: '\n', r: '\r', t: '\t', b: '', f: '\n' }

const escaped =
  /(?:%[0-9a-f]{2}){1,2000}|%u[0-9a-f]{4}|&(?:#0{0,64}\d{1,7}(?!\d)|#x0{0,64}[0-9a-f]{1,6}(?![0-9a-f]));?|&[a-z]{2,15};|\+A[A-Za-z0-9+/]{2,512}-|\\(?:0{1,4}[2-7][0-9a-f](?![0-9a-f])(?: (?=\\))?|[2-7][0-9a-f] (?=\\)|(?<=\\[2-7][0-9a-f] \\)[2-7][0-9a-f] |u\{[0-9a-f]{1,6}\}|u[0-9a-f]{4}|U[0-9a-f]{8}|x[0-9a-f]{2}|[0-7]{2,3}|[nrtbf"'/\\])/gi

/** Percent, HTML and backslash escapes, those of style sheets too, and UTF-7 read as what they stand for. */
export function unescaped(view: View): View | undefined {
  return rewrite(view, escaped, { step: 'escapes', margin }, ([match]) => {
    if (/^%u/i.test(match)) return character(Number.parseInt(match.slice(2), 16))
    if (match[0] === '+') return fromUtf7(match.slice(1, -1))
    if (match[0] === '%') return Buffer.from(match.replaceAll('%', ''), 'hex').toString('utf8')
    if (match[0] === '&') return entity(match.slice(1).replace(/;$/, ''))
    return backslash(match.slice(1))
  })
}

function entity(name: string): string | undefined {
  if (name[0] !== '#') return entities[name]
  return character(/^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1)))
}

/** https://www.rfc-editor.org/rfc/rfc2152 */
function fromUtf7(base64: string): string | undefined {
  const bytes = Buffer.from(base64, 'base64')
  const text = bytes
    .subarray(0, bytes.length & ~1)
    .swap16()
    .toString('utf16le')
  return text !== '' && /^[\n\r\t -~\u00a0-\u024f]+$/.test(text) ? text : undefined
}

const styleEscape = /^(0{0,4}[2-7][0-9a-f]) ?$/i

function backslash(rest: string): string {
  // A space ends one of a style sheet; of three digits without it, it is octal.
  const style = rest.length > 3 || rest.endsWith(' ') ? styleEscape.exec(rest)?.[1] : undefined
  if (style !== undefined) return character(Number.parseInt(style, 16))
  const point = /^[ux]\{?([0-9a-f]+)/i.exec(rest)
  if (point?.[1] !== undefined) return character(Number.parseInt(point[1], 16))
  if (/^[0-7]{2,3}$/.test(rest)) return character(Number.parseInt(rest, 8))
  return controls[rest] ?? rest
}

const character = (point: number): string =>
  point > 0x10ffff || (point >= 0xd800 && point < 0xe000 && point > 0xffff) ? ' ' : String.fromCodePoint(point)

const softBreaks = /=\r?\n|(?:=[0-9A-Fa-f]{2}){2,2000}|=[0-9A-F]{2}/g

/** Quoted-printable, where there is more of it than an equals sign. */
export function unquoted(view: View): View | undefined {
  if (!/=(?:40|3D|2E|20|2D|[0-9A-Fa-f]{2}=[0-9A-Fa-f]{2}|\r?\n)/.test(view.text)) return undefined
  return rewrite(view, softBreaks, { step: 'quoted-printable', margin }, ([match]) =>
    /\n/.test(match) ? '' : Buffer.from(match.replaceAll('=', ''), 'hex').toString('utf8'),
  )
}

/** In ASCII the codes of all visible characters begin with 2 to 7. */
const codeRuns =
  /(?:(?:0x)?(?:[2-7][0-9a-f]|0[9ad])\b[\s:,;-]{1,2}){7,2000}(?:0x)?[2-7][0-9a-f]\b|(?:\d{2,3}\b[\s,;]{1,2}){7,2000}\d{2,3}\b|(?:[01]{8}[\s,]?){6,2000}/gi

/** Character codes that are written out: `6a 6f`, `0x6a,0x6f`, `106 111`, `01101010 01101111`. */
export function spelledCodes(view: View): View | undefined {
  return rewrite(view, codeRuns, { step: 'codes', margin }, ([match]) => {
    const groups = match.match(/[0-9a-f]+/gi)?.filter((group) => group !== '0') ?? []
    const radices = /^[01]{8}/.test(match) ? [2] : groups.every((group) => /^\d{2,3}$/.test(group)) ? [10, 16] : [16]
    for (const radix of radices) {
      const text = fromCodes(radix === 2 ? (match.match(/[01]{8}/g) ?? []) : groups, radix)
      if (text !== undefined) return text
    }
    return undefined
  })
}

function fromCodes(groups: readonly string[], radix: number): string | undefined {
  const codes = groups.map((group) => Number.parseInt(group.replace(/^0x/i, ''), radix))
  return codes.every((code) => code >= 9 && code < 127) ? String.fromCharCode(...codes.slice(0, 4096)) : undefined
}

export interface Blobs {
  /** Everything that was decoded, a line each. */
  view: View | undefined
  /** Runs that are, or look like, an encoding and could not be read. */
  closed: (Closed & { start: number; end: number })[]
}

const opaqueFrom = 256
const shortRun = 24

/**
 * @param runs where the view has unbroken runs of an encoding's alphabet, 12 and longer
 * @param most units of text that may be made
 */
export function decodedBlobs(view: View, runs: readonly (readonly [number, number])[], most: number): Blobs {
  const writer = new ViewWriter(view)
  const closed: Blobs['closed'] = []
  const steps = new Set<string>()
  for (const [start, end] of runs) {
    // A word in small letters is a word.
    if (end - start < shortRun && isSmall(view.text, start + 1, end)) continue
    const run = view.text.slice(start, end)
    const decoded = firstOf(run, most - writer.length)
    if (decoded && 'closed' in decoded) closed.push({ ...decoded, start, end })
    else if (decoded) {
      writer.replace(`${decoded.text}\n`, start, end)
      steps.add(decoded.step)
    } else if (end - start >= opaqueFrom && looksRandom(view.text.slice(start, start + opaqueFrom))) {
      closed.push({ closed: 'opaque', start, end })
    }
  }
  return { view: writer.length > 0 ? writer.end([...steps].join(' ')) : undefined, closed }
}

/** A run may have something in front of it that is of the same alphabet: a path, a name with a dash. */
function firstOf(run: string, most: number): Decoded | Closed | undefined {
  const whole = decodeBlob(run, most)
  if (whole) return whole
  const cut = Math.max(run.indexOf('/'), run.indexOf('-'), run.indexOf('_'))
  return cut >= 0 && cut < 40 && run.length - cut > 16 ? decodeBlob(run.slice(cut + 1), most) : undefined
}

function looksRandom(run: string): boolean {
  return /[a-z]/.test(run) && /[A-Z]/.test(run) && /\d/.test(run) && new Set(run).size > 24
}
