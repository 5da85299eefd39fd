/**
 * A producer's own chain file: each record is on this disk before anybody else hears of it. Framed as a 4-byte length and the bytes. A frame that a
 * crash cut short was never acknowledged to anybody and is cut off when the file is opened again.
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { ClawmeshError } from '../../policies/errors.js'

export interface Chain {
  /** All records, oldest first. */
  read(): Uint8Array[]
  append(record: Uint8Array): void
  /** Returns when all that was appended is on disk. */
  sync(): void
  /** How many of the records the stream is known to hold. After a crash this may be too few, never too many. */
  sent(): number
  markSent(count: number): void
  close(): void
}

/** For a node that keeps nothing: the stream is then the only copy. */
export function memoryChain(): Chain {
  const records: Uint8Array[] = []
  let sent = 0
  return {
    read: () => records.slice(),
    append: (record) => {
      records.push(record)
    },
    sync: () => undefined,
    sent: () => sent,
    markSent: (count) => {
      sent = count
    },
    close: () => undefined,
  }
}

export function openChain(path: string): Chain {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const file = openSync(path, existsSync(path) ? 'r+' : 'w+', 0o600)
  const { records, end } = readFrames(new Uint8Array(readFileSync(path)))
  ftruncateSync(file, end)
  let position = end
  const mark = openSync(`${path}.sent`, existsSync(`${path}.sent`) ? 'r+' : 'w+', 0o600)
  let sent = Math.min(readCount(mark), records.length)
  return {
    read: () => records,
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
      records.push(record)
    },
    sync: () => fdatasyncSync(file),
    sent: () => sent,
    markSent: (count) => {
      sent = count
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

/** Reads a chain file that another process writes. */
export function readChain(path: string): Uint8Array[] {
  return existsSync(path) ? readFrames(new Uint8Array(readFileSync(path))).records : []
}

function readCount(mark: number): number {
  const text = Buffer.alloc(16)
  readSync(mark, text, 0, 16, 0)
  return Number(text.toString('latin1').trim()) || 0
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
