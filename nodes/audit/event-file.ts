/**
 * A file that each event stands in once, whatever happens to the process that writes it.
 *
 * 1. The file itself says how far it got: each line names its event and the stream message it stood in, and the first of a record carries the record.
 *    There is no second place that could disagree with it.
 * 2. Lines are only ever appended, in the order of the stream. What a crash left of a record's lines is cut off, and its events are written again.
 * 3. A full file is renamed to FILE.1, FILE.2 … and a new one is begun, whole, with a first line that says where the chains stood. So only the newest has
 *    to be there to go on, and each can be verified by itself.
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Opener } from '../../mesh/audit/opener.js'
import type { HeadState, TrailReader, TrailRecord } from '../../mesh/audit/reader.js'
import { readRecord } from '../../mesh/audit/record.js'
import type { Part } from '../../mesh/audit/vouched.js'
import { writeWhole } from '../../mesh/disk.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { EventLine, Format } from './format.js'
import type { Opening, Place } from './opening.js'
import { eventIds, strictReader, type TrailEvent } from './read.js'
import { falseLine } from './readable.js'

export interface EventFileOptions {
  path: string
  format: Format
  mesh: string
  rootKey: Uint8Array
  /** A file that is larger than this is put away. */
  rotateBytes: number
  /** How many of those stay; all if left out. */
  keep?: number | undefined
  /** Where a file begins that is not there yet; left out: with the first event of the trail. */
  from?: Place | undefined
}

/** How often what was written is forced to the disk. After a power cut the rest is read from the stream again. */
const syncMs = 500

export class EventFile {
  readonly reader: TrailReader
  readonly throwIfFaulty: () => void
  readonly #options: EventFileOptions
  readonly #timer: NodeJS.Timeout
  #file: number
  #size: number
  #after: number
  #dirty = false

  /** Goes on with the file that is there, after checking it. Throws AUDIT_BROKEN if it is not what was once written. */
  constructor(options: EventFileOptions) {
    const { path, format, mesh, rootKey } = options
    this.#options = options
    const strict = strictReader(rootKey)
    this.reader = strict.reader
    this.throwIfFaulty = strict.throwIfFaulty
    // A crash between the renaming of a full file and the beginning of the next leaves the full one as the newest.
    const newest = existsSync(path) ? path : newestRotated(path)
    const read = newest === undefined ? undefined : readEventFile(newest, format)
    if (read && read.opening.mesh !== mesh) {
      throw new ClawmeshError('USAGE', `${newest} holds the events of another mesh, ${read.opening.mesh}.`, {
        hint: 'Choose another file with --to.',
      })
    }
    if (read) checkEventFile(read, strict)
    else this.reader.resume(options.from?.heads ?? [])
    this.#after = read?.after ?? options.from?.after ?? 0
    if (newest !== path) this.#begin()
    this.#file = openSync(path, 'r+')
    if (newest === path && read) ftruncateSync(this.#file, read.end)
    this.#size = fstatSync(this.#file).size
    this.#timer = setInterval(() => this.#sync(), syncMs)
  }

  /** The stream message that was read last, perhaps not to its end. */
  get after(): number {
    return this.#after
  }

  append(events: TrailEvent[]): void {
    const { format, rotateBytes } = this.#options
    const text = Buffer.from(events.map((event) => `${JSON.stringify(format.event(event))}\n`).join(''))
    for (let at = 0; at < text.length; ) at += writeSync(this.#file, text, at, text.length - at, this.#size + at)
    this.#size += text.length
    this.#after = events.at(-1)?.sequence ?? this.#after
    this.#dirty = true
    if (this.#size > rotateBytes) this.#rotate()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#sync()
    closeSync(this.#file)
  }

  #rotate(): void {
    const { path, keep } = this.#options
    this.#sync()
    closeSync(this.#file)
    renameSync(path, `${path}.${(lastRotation(path) ?? 0) + 1}`)
    this.#begin()
    // Only when the next is there: a crash in between leaves one more, which the next rotation takes.
    for (const number of rotations(path).slice(0, -(keep ?? Number.POSITIVE_INFINITY))) rmSync(`${path}.${number}`)
    this.#file = openSync(path, 'r+')
    this.#size = fstatSync(this.#file).size
  }

  #begin(): void {
    const { path, format, mesh } = this.#options
    const opening = { mesh, after: this.#after, heads: this.reader.state() }
    writeWhole(path, `${JSON.stringify(format.opening(opening, Date.now()))}\n`)
  }

  #sync(): void {
    if (this.#dirty) fdatasyncSync(this.#file)
    this.#dirty = false
  }
}

export interface ReadFile {
  path: string
  opening: Opening
  records: Uint8Array[]
  /** Of the events of these records, in their order. */
  lines: (EventLine & { place: string })[]
  after: number
  /** Where the last whole record ends; what follows is what a crash left of the lines of one. */
  end: number
  /** How many bytes that is. */
  torn: number
}

/** Throws AUDIT_BROKEN, naming the line, if the file is not of this format, or if a record lacks lines and another follows. */
export function readEventFile(path: string, format: Format): ReadFile {
  const bytes = readFileSync(path)
  const [first, ...lines] = linesOf(bytes).map(({ text, end }, index) => {
    const place = `line ${index + 1}`
    try {
      return { place, end, read: format.read(text) }
    } catch (cause) {
      throw broken(path, `${place} is no line of an export as ${format.name}`, cause)
    }
  })
  if (!first || !('opening' in first.read)) throw broken(path, 'it does not begin with the first line of an export')
  const { opening } = first.read
  const file: ReadFile = { path, opening, records: [], lines: [], after: opening.after, end: first.end, torn: 0 }
  let ids: string[] = []
  let whole = 0
  for (const { place, end, read } of lines) {
    if ('opening' in read) throw broken(path, `${place} is the first line of an export`)
    const { sequence, id, record } = read
    if (ids.length === 0 && record) {
      ids = idsOf(path, place, record)
      file.records.push(record)
    }
    if (ids.shift() !== id) throw broken(path, `${place} does not go on from the line before it`)
    file.lines.push({ ...read, place })
    if (ids.length === 0) [file.after, file.end, whole] = [sequence, end, file.lines.length]
  }
  // The lines of the last record are not all there.
  if (ids.length > 0) file.records.pop()
  file.lines.length = whole
  file.torn = bytes.length - file.end
  return file
}

/** Whole lines, and where each ends. */
function linesOf(bytes: Buffer): { text: string; end: number }[] {
  const lines: { text: string; end: number }[] = []
  for (let begin = 0, at = bytes.indexOf(lineFeed); at >= 0; at = bytes.indexOf(lineFeed, begin)) {
    lines.push({ text: bytes.toString('utf8', begin, at), end: at + 1 })
    begin = at + 1
  }
  return lines
}

const lineFeed = 0x0a

function idsOf(path: string, place: string, record: Uint8Array): string[] {
  try {
    return eventIds(readRecord(record))
  } catch (cause) {
    throw broken(path, `${place} holds no audit record`, cause)
  }
}

/** Verifies what was read of a file, from the state of the chains at its beginning on. Throws AUDIT_BROKEN. */
export function checkEventFile(
  file: ReadFile,
  { reader, throwIfFaulty }: ReturnType<typeof strictReader>,
): TrailRecord[] {
  reader.resume(file.opening.heads)
  const fresh = reader.follow(file.records, file.path)
  throwIfFaulty()
  if (fresh.length < file.records.length) throw broken(file.path, 'a record stands in it twice')
  return fresh
}

/** What files that follow one another hold. */
export interface Exported extends Part {
  events: number
  /** Bytes behind the last whole record of the last file. */
  torn: number
}

/**
 * What is in files that follow one another; whether more came after it, they cannot say. Throws AUDIT_BROKEN naming the first place that is wrong.
 * @param opener of who holds the auditors' key: what is readable beside the records is then what they hold; without it, only as far as that stands outside the seal
 * @param partial the first is not the beginning, since those before it were not kept: what it says of where the chains stood is taken for that
 */
export function checkExport(
  files: string[],
  format: Format,
  rootKey: Uint8Array,
  partial = false,
  opener: Opener | undefined = undefined,
): Exported {
  const strict = strictReader(rootKey)
  const hashes: Uint8Array[] = []
  let before: number | undefined
  let [events, torn] = [0, 0]
  let expected: HeadState[] | undefined = partial ? undefined : []
  for (const path of files) {
    const file = readEventFile(path, format)
    expected ??= file.opening.heads
    before ??= file.opening.heads.reduce((sum, { next }) => sum + next, 0)
    if (!isDeepStrictEqual(sorted(file.opening.heads), sorted(expected)))
      throw broken(path, 'it does not go on from where the file before it ends, or is not the first')
    const records = checkEventFile(file, strict)
    const wrong = falseLine(file.lines, records, format, opener)
    if (wrong) throw broken(path, `${wrong.place} says something else than its record`)
    for (const { count, hash } of records) {
      events += count
      hashes.push(hash)
    }
    expected = strict.reader.state()
    torn = file.torn
  }
  return { events, torn, before: before ?? 0, hashes }
}

const sorted = (heads: HeadState[]) => heads.toSorted((a, b) => (a.hash < b.hash ? -1 : 1))

/** FILE.1, FILE.2 … in order, then FILE. */
export function eventFiles(path: string): string[] {
  return [...rotations(path).map((number) => `${path}.${number}`), ...(existsSync(path) ? [path] : [])]
}

function rotations(path: string): number[] {
  const prefix = `${basename(path)}.`
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => a - b)
}

const lastRotation = (path: string) => rotations(path).at(-1)

function newestRotated(path: string): string | undefined {
  const number = lastRotation(path)
  return number === undefined ? undefined : join(dirname(path), `${basename(path)}.${number}`)
}

const broken = (path: string, what: string, cause?: unknown) =>
  new ClawmeshError('AUDIT_BROKEN', `The export ${path} is not what was written there: ${what}.`, {
    hint: 'It was changed by somebody else. Keep it, and export to another file.',
    cause,
  })
