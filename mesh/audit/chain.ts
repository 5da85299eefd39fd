/**
 * A producer's own chain file: each record is on this disk before anybody else hears of it. Framed as a 4-byte length and the bytes. A frame that a
 * crash cut short was never acknowledged to anybody and is moved aside when the file is opened again. What the stream is known to have must be there
 * whole: a file with fewer records was damaged, not cut short.
 */
import {
  closeSync,
  existsSync,
  fdatasync,
  fdatasyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { ClawmeshError } from '../../policies/errors.js'

const syncData = promisify(fdatasync)

export interface Chain {
  /** What it held when it was opened. */
  readonly begun: { count: number; last: Uint8Array | undefined; unsent: Uint8Array[] }
  append(record: Uint8Array): void
  /** Resolves when all that was appended before is on disk. One at a time. */
  sync(): Promise<void>
  /** How many of the records the stream is known to hold. After a crash this may be too few, never too many. */
  markSent(count: number): void
  close(): void
}

/** For a node that keeps nothing: the stream is then the only copy. */
export function memoryChain(): Chain {
  return {
    begun: { count: 0, last: undefined, unsent: [] },
    append: () => undefined,
    sync: () => Promise.resolve(),
    markSent: () => undefined,
    close: () => undefined,
  }
}

/** Throws AUDIT_BROKEN if records are missing that were sent. */
export function openChain(path: string): Chain {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const bytes = existsSync(path) ? new Uint8Array(readFileSync(path)) : new Uint8Array()
  const { records, end } = readFrames(bytes)
  const sent = readCount(path)
  if (sent > records.length) {
    throw new ClawmeshError(
      'AUDIT_BROKEN',
      `The chain file ${path} holds ${records.length} whole records; ${sent} were sent to the stream. It was damaged after byte ${end}.`,
      { hint: 'Keep it as it is, compare it with the stream (`clawmesh audit verify`) and restore it from a backup.' },
    )
  }
  const file = openSync(path, existsSync(path) ? 'r+' : 'w+', 0o600)
  if (end < bytes.length) {
    putAside(`${path}.cut-${end}`, bytes.subarray(end))
    ftruncateSync(file, end)
  }
  let position = end
  const mark = openSync(markOf(path), existsSync(markOf(path)) ? 'r+' : 'w+', 0o600)
  return {
    begun: { count: records.length, last: records.at(-1), unsent: records.slice(sent) },
    append: (record) => {
      const frame = new Uint8Array(4 + record.length)
      new DataView(frame.buffer).setUint32(0, record.length)
      frame.set(record, 4)
      try {
        for (let at = 0; at < frame.length; ) at += writeSync(file, frame, at, frame.length - at, position + at)
      } catch (cause) {
        // Half a frame must not stay in front of the next one.
        ftruncateSync(file, position)
        throw ClawmeshError.from(cause)
      }
      position += frame.length
    },
    sync: () => syncData(file).catch((cause: unknown) => Promise.reject(ClawmeshError.from(cause))),
    markSent: (count) => {
      // Not synced, and no matter if the disk is full: to lose it costs a repetition that the stream and every reader recognise.
      try {
        writeSync(mark, String(count).padEnd(16), 0)
      } catch {
        return
      }
    },
    close: () => {
      closeSync(file)
      closeSync(mark)
    },
  }
}

/** A producer's own copy of its chain, as one finds it on its disk. */
export interface OwnCopy {
  records: Uint8Array[]
  /** How many of them the stream is known to have had; may be too few. */
  sent: number
}

/** Reads a chain file that another process writes. */
export function readChain(path: string): OwnCopy {
  // The count first: it never runs ahead of the records.
  const sent = readCount(path)
  return { records: existsSync(path) ? readFrames(new Uint8Array(readFileSync(path))).records : [], sent }
}

const markOf = (path: string) => `${path}.sent`

function readCount(path: string): number {
  return existsSync(markOf(path)) ? Number(readFileSync(markOf(path), 'latin1').trim()) || 0 : 0
}

/** On disk before the chain lets go of it. */
function putAside(path: string, bytes: Uint8Array): void {
  const aside = openSync(path, 'a', 0o600)
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(aside, bytes, at)
    fdatasyncSync(aside)
  } finally {
    closeSync(aside)
  }
}

function readFrames(bytes: Uint8Array): { records: Uint8Array[]; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const records: Uint8Array[] = []
  let at = 0
  while (at + 4 <= bytes.length) {
    const next = at + 4 + view.getUint32(at)
    if (next > bytes.length) break
    records.push(bytes.slice(at + 4, next))
    at = next
  }
  return { records, end: at }
}
