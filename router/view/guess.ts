/**
 * Views that undo how a person would hide something: split lines, spaced letters, words for digits, mirror writing. Each of them may join what does not
 * belong together, so they are lossy: only findings that prove themselves (a checksum, a known ending) count in them.
 *
 * They are made of the dense stretches of a text alone. In ordinary prose there are few.
 */
import { type Facts, type Run, reachOf } from './facts.js'
import { reversed, rotated } from './turn.js'
import { lastAtMost, rewrite, type Span, together, type View, ViewWriter } from './view.js'
import type { Seen } from './views.js'

const margin = 64
/** How much around a line break is read without it. */
const breakReach = 128

// A full stop and an underscore are characters behind white space alone, and separators elsewhere: what is both at once would be tried in every combination.
const spaced =
  /(?<![A-Za-z0-9])(?:(?:[A-Za-z0-9@:+]|(?<=[ \t])[._](?=[ \t,]))(?:[*_|./~,-]{1,3}[ \t]{0,2}|[ \t]{1,3}(?:[*|/~,-]{1,2}[ \t]{0,2})?)){6,2000}[A-Za-z0-9](?![A-Za-z0-9])/g

/** `4 1 1 1`, `j*o*h*n`: separators between single characters are taken out; one that is a double separator stands for a break. */
function unspaced(view: View): View | undefined {
  return rewrite(view, spaced, { step: 'spaced', margin, lossy: true }, ([match]) => {
    const separator = match[1] ?? ' '
    return match.replaceAll(separator, '').replace(/[ \t*|~]/g, '')
  })
}

const spoken =
  /\s*[[({<]\s*(at|dot|punkt)\s*[\])}>]\s*|\s+(dot|punkt)\s+|\s+(at)\s+(?=\S{1,64}\s{1,3}(?:dot|punkt)\s)|\s*[[({]\s*([.@:])\s*[\])}]\s*|\bh(?:xx|\*\*)ps?(?=:\/\/)/gi

/** What announces a spelled out sign. */
export const spokenSigns = [
  '[at]',
  '(at)',
  '{at}',
  '<at>',
  '[@]',
  '(@)',
  '[dot]',
  '(dot)',
  '{dot}',
  '<dot>',
  '[.]',
  '(.)',
  '{.}',
  'hxxp',
  'h**p',
  ' dot ',
  ' punkt ',
  '[ at ]',
  '( at )',
  '(punkt)',
  '[punkt]',
]

/** `name (at) firm dot com`, `name[@]firm[.]com`, `hxxps://`. */
function unspoken(view: View): View | undefined {
  return rewrite(view, spoken, { step: 'spoken', margin, lossy: true }, ([match, bracketed, dot, at, sign]) => {
    if (sign) return sign
    const word = (bracketed ?? dot ?? at)?.toLowerCase()
    if (word === undefined) return match.replace(/xx|\*\*/i, 'tt')
    return word === 'at' ? '@' : '.'
  })
}

const quotes =
  /["'`]\s{0,9},\s{0,64}["'`][\w-]{1,32}["'`]\s{0,9}:\s{0,9}["'`]|["'`]\s{0,64}(?:[+.&,]|\|\|)?\s{0,64}["'`]|\*{2,3}|_{2}|~~+|\$\$|<!--[^>]{0,256}-->|<\/?[a-z][^<>]{0,256}>|(?:<\/?[a-z]{1,8}\/?>\s{0,64}){2,8}|\/\*.{0,128}?\*\/|(?<=\w)(?:[ \t]{0,64}\|[ \t]{0,64}|;)(?=\w)/gi

/** `"ab" + "cd"`, values under several names, letters set in bold, what tags and comments part, and the cells of a table. */
function unquotedParts(view: View): View | undefined {
  return rewrite(view, quotes, { step: 'parts', margin, lossy: true }, () => '')
}

const digitWords: Record<string, string> = {
  zero: '0',
  oh: '0',
  null: '0',
  one: '1',
  eins: '1',
  two: '2',
  zwei: '2',
  zwo: '2',
  three: '3',
  drei: '3',
  four: '4',
  vier: '4',
  five: '5',
  funf: '5',
  fuenf: '5',
  six: '6',
  sechs: '6',
  seven: '7',
  sieben: '7',
  eight: '8',
  acht: '8',
  nine: '9',
  neun: '9',
}
export const digitWordList = Object.keys(digitWords)
const oneWord = digitWordList.join('|')
const amongThemselves = new RegExp(`\\b(${oneWord})\\b(?:[\\s,.-]{1,8}(?=(?:${oneWord})\\b))?`, 'gi')
const withNeighbours = new RegExp(`[ \\t]{0,4}\\b(${oneWord})\\b[ \\t]{0,4}`, 'gi')

/** `four one one one`, `vier eins eins eins`; and with what stands beside them, `gho_U zero pZ`. */
function numbered(view: View, groups: readonly Run[]): View | undefined {
  if (groups.length === 0) return undefined
  // A pattern takes in what stands before its word.
  const within = groups.map(([first, last]): Run => [Math.max(0, first - 4), last + 1])
  const digits = [amongThemselves, withNeighbours].map((pattern) =>
    rewrite(
      view,
      pattern,
      { step: 'words', margin, lossy: true, within },
      (match) => digitWords[match[1]?.toLowerCase() ?? ''],
    ),
  )
  return together(digits.filter((each) => each !== undefined))
}

/** Lines that end or begin in the middle of something are joined. */
function unbroken(view: View, dense: readonly Run[]): View | undefined {
  const { text } = view
  const writer = new ViewWriter(view)
  let joined = false
  // Moves on only, so that a text is searched once however many stretches it has.
  let line = text.indexOf('\n')
  for (const [from, to] of dense) {
    let done = from
    let isSplit = false
    while (line >= 0 && line < from) line = text.indexOf('\n', line + 1)
    for (; line >= 0 && line < to; line = text.indexOf('\n', line + 1)) {
      const [start, end] = breakAround(text, line)
      if (start < done) continue
      writer.copy(done, start)
      done = end
      isSplit = true
    }
    if (!isSplit) continue
    joined = true
    writer.copy(done, to)
    writer.replace('\n', Math.max(from, to - 1), to)
  }
  return joined ? writer.end('lines', true) : undefined
}

/** The break itself with what indents or quotes the next line. */
function breakAround(text: string, line: number): [number, number] {
  let start = line
  while (start > 0 && ' \t\r|\\'.includes(text[start - 1] ?? '-')) start -= 1
  let end = line + 1
  while (end < text.length && ' \t\r>|'.includes(text[end] ?? '-')) end += 1
  return [start, end]
}

const mirrored = (view: View, runs: readonly Run[]): View | undefined => stretches(view, runs, 'mirrored', reversed)

const rotatedBack = (view: View, runs: readonly Run[]): View | undefined => stretches(view, runs, 'rot13', rotated)

/** Everything that could be hidden in the view, as one view. */
export function guessed(view: View, facts: Facts, has: Omit<Seen, 'isEnough'>): View | undefined {
  const dense = has.shortSecrets ? facts.denseOrNumber : facts.dense
  const views = [
    facts.maySpace ? unspaced(view) : undefined,
    facts.mayPart ? unquotedParts(view) : undefined,
    unbroken(
      view,
      has.shortSecrets
        ? dense
        : reachOf(
            facts.breaks.map((at) => [at, at]),
            breakReach,
            view.text.length,
            facts.blobs,
          ),
    ),
    mirrored(view, has.mirrored ?? dense),
    rotatedBack(view, has.rotated ?? dense),
    has.spokenSigns ? unspoken(view) : undefined,
    numbered(view, has.wordedDigits),
  ]
  return together(views.filter((each) => each !== undefined))
}

/** A view of stretches that were each turned, unit for unit. */
function stretches(
  view: View,
  runs: readonly Run[],
  step: 'mirrored' | 'rot13',
  turn: (text: string) => string,
): View | undefined {
  if (runs.length === 0) return undefined
  const starts: number[] = []
  const parts: string[] = []
  let length = 0
  for (const [start, end] of runs) {
    starts.push(length)
    parts.push(`${turn(view.text.slice(start, end))}\n`)
    length += end - start + 1
  }
  const origin = (start: number, end: number): Span => {
    const index = lastAtMost(starts, start)
    const [from, to] = runs[index] ?? [0, 0]
    const before = start - (starts[index] ?? 0)
    const after = Math.min(to - from, end - (starts[index] ?? 0))
    return step === 'mirrored' ? view.origin(to - after, to - before) : view.origin(from + before, from + after)
  }
  return { text: parts.join(''), lossy: true, origin, stepsAt: (at) => [...view.stepsAt(origin(at, at).start), step] }
}
