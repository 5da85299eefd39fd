/**
 * Unified diffs, applied exactly: each line that a hunk keeps or takes away must be in the file as it is in the hunk. A hunk belongs where it says, and where that
 * is wrong, to the one other place where it fits. Two such places, or none, are told, and nothing is guessed.
 */
import { posix } from 'node:path'
import { ActionError } from './error.js'

export interface FilePatch {
  /** undefined: the file is made. */
  readonly before: string | undefined
  /** undefined: the file is taken away. */
  readonly after: string | undefined
  readonly hunks: readonly Hunk[]
}

interface Hunk {
  /** 1-based line of the file as it was; 0 in a file that is made. */
  readonly start: number
  /** Lines with what ends them, so that a last line without a break is another one than with it. */
  readonly old: readonly string[]
  readonly new: readonly string[]
}

/** @throws ActionError for what is not a unified diff, by its line */
export function parseDiff(diff: string): FilePatch[] {
  // Whoever writes a diff by hand forgets the break after its last line, and seldom means a file that ends without one.
  const lines = (diff.endsWith('\n') ? diff : `${diff}\n`).match(/[^\n]*\n/g) ?? []
  const files: { before: string | undefined; after: string | undefined; hunks: Hunk[] }[] = []
  for (let at = 0; at < lines.length; ) {
    const line = lines[at] ?? ''
    if (line.startsWith('--- ') && lines[at + 1]?.startsWith('+++ ')) {
      const { before, after } = pathsOf(line, lines[at + 1] ?? '')
      if (before === undefined && after === undefined) throw wrong(at, 'names no file')
      if (before !== undefined && after !== undefined && before !== after)
        throw wrong(at, `renames ${before}, which is not done`)
      files.push({ before, after, hunks: [] })
      at += 2
    } else if (line.startsWith('@@')) {
      const file = files.at(-1)
      if (!file) throw wrong(at, 'comes before any "--- " and "+++ " line')
      const { hunk, next } = parseHunk(lines, at)
      file.hunks.push(hunk)
      at = next
    } else if (/^(diff |index |new file|deleted file|old mode|new mode|similarity |\s*$)/.test(line)) at += 1
    else throw wrong(at, 'belongs to no hunk')
  }
  if (files.length === 0) throw new ActionError('This is no unified diff: it has no "--- " and "+++ " lines.')
  const empty = files.find(({ hunks }) => hunks.length === 0)
  if (empty) throw new ActionError(`The diff of ${empty.after ?? empty.before} has no hunk.`)
  const paths = files.map(({ before, after }) => posix.normalize(after ?? before ?? ''))
  const twice = paths.find((path, index) => paths.indexOf(path) !== index)
  if (twice !== undefined) throw new ActionError(`The diff names ${twice} twice.`)
  return files
}

/** The text of the file afterwards; '' for one that is taken away. Throws ActionError where a hunk does not fit. */
export function applyPatch({ before, after, hunks }: FilePatch, text: string | undefined): string {
  const path = after ?? before ?? ''
  const lines = text?.match(/[^\n]*\n|[^\n]+$/g) ?? []
  const out: string[] = []
  let done = 0
  for (const [index, hunk] of hunks.entries()) {
    const at = placeOf(hunk, lines, done, `${path}: hunk ${index + 1}`)
    out.push(...lines.slice(done, at), ...hunk.new)
    done = at + hunk.old.length
  }
  out.push(...lines.slice(done))
  if (after === undefined && out.length > 0)
    throw new ActionError(`${path} is to be deleted, but the diff leaves lines in it.`)
  return out.join('')
}

function placeOf({ start, old }: Hunk, lines: readonly string[], from: number, name: string): number {
  // A hunk that only adds says after which line.
  const said = old.length === 0 ? start : start - 1
  const fits = (at: number) =>
    at >= from && at + old.length <= lines.length && old.every((line, index) => lines[at + index] === line)
  if (fits(said)) return said
  const others = old.length === 0 ? [] : lines.flatMap((_, at) => (fits(at) ? [at] : []))
  const [only] = others
  if (others.length === 1 && only !== undefined) return only
  if (others.length > 1)
    throw new ActionError(
      `${name} is not at line ${start}, and fits at lines ${others.map((at) => at + 1).join(', ')}: give more lines around it.`,
    )
  const near = lines[said] === undefined ? 'the file has no such line' : `there is ${JSON.stringify(lines[said])}`
  throw new ActionError(`${name} fits nowhere: at line ${start} it wants ${JSON.stringify(old[0] ?? '')}, ${near}.`)
}

function parseHunk(lines: readonly string[], first: number): { hunk: Hunk; next: number } {
  const head = /^@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@/.exec(lines[first] ?? '')
  if (!head) throw wrong(first, 'is no head of a hunk: "@@ -LINE,COUNT +LINE,COUNT @@"')
  const [start = 0, olds = 1, news = 1] = [head[1], head[2], head[3]].map((text) =>
    text === undefined ? undefined : Number(text),
  )
  const old: string[] = []
  const fresh: string[] = []
  let at = first + 1
  while (old.length < olds || fresh.length < news) {
    const line = lines[at]
    if (line === undefined)
      throw wrong(first, `says ${olds} and ${news} lines, and has ${old.length} and ${fresh.length}`)
    const sign = line[0]
    // Some leave out the space of an empty line.
    const rest = line === '\n' || line === '\r\n' ? line : line.slice(1)
    if (sign === '-' || sign === ' ' || rest === line) old.push(rest)
    if (sign === '+' || sign === ' ' || rest === line) fresh.push(rest)
    if (rest !== line && sign !== '-' && sign !== '+' && sign !== ' ')
      throw wrong(at, 'begins with neither a space, nor "-", nor "+"')
    at += 1
    if (lines[at]?.startsWith('\\')) {
      // "\ No newline at end of file" is about the line before it.
      if (sign !== '+') endWithout(old)
      if (sign !== '-') endWithout(fresh)
      at += 1
    }
  }
  if (old.length > olds || fresh.length > news)
    throw wrong(first, `says ${olds} and ${news} lines, and has ${old.length} and ${fresh.length}`)
  return { hunk: { start, old, new: fresh }, next: at }
}

function endWithout(lines: string[]): void {
  const last = lines.pop()
  if (last !== undefined) lines.push(last.replace(/\r?\n$/, ''))
}

/** Without git's `a/` and `b/`, which come as a pair, and without a date behind. */
function pathsOf(minus: string, plus: string): Pick<FilePatch, 'before' | 'after'> {
  const [before = '', after = ''] = [minus, plus].map((line) =>
    line
      .slice(4)
      .replace(/\r?\n$/, '')
      .replace(/\t.*$/, ''),
  )
  const none = '/dev/null'
  const isGit = (before.startsWith('a/') || before === none) && (after.startsWith('b/') || after === none)
  const path = (name: string) => (name === none ? undefined : isGit ? name.slice(2) : name)
  return { before: path(before), after: path(after) }
}

const wrong = (at: number, why: string) => new ActionError(`Line ${at + 1} of the diff ${why}.`)
