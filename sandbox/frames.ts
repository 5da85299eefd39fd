/**
 * What goes over the socket of one action: a request in, frames out. launcher/spec.h and launcher/report.h are the other side.
 */
import { ClawmeshError } from '../policies/errors.js'
import type { Spec } from './spec.js'

/** network, names: of an action's connections and of the names that it asks for. hello: what it says first on one. image: what a process of it began as. wrote: a file that it opened for writing. open: of the opens that are held. fed: its input was passed on, and more may be sent. */
export type FrameKind =
  | 'output'
  | 'errors'
  | 'report'
  | 'network'
  | 'names'
  | 'hello'
  | 'image'
  | 'wrote'
  | 'open'
  | 'fed'

export interface Frame {
  readonly kind: FrameKind
  readonly bytes: Buffer
}

const kinds: ReadonlyMap<number, FrameKind> = new Map([
  [0x6f, 'output'],
  [0x65, 'errors'],
  [0x72, 'report'],
  [0x6e, 'network'],
  [0x71, 'names'],
  [0x68, 'hello'],
  [0x73, 'image'],
  [0x64, 'wrote'],
  [0x70, 'open'],
  [0x66, 'fed'],
])
const headerBytes = 5
const mostBytes = 65_536
const mostInput = 64 * 1024 * 1024

const orders = { input: 0x69, network: 0x76, names: 0x71, open: 0x77 } as const

/** What is said to an action with a network, or with opens that are held, after its request. Of an input there are at most 64 KiB in one, and the next comes after it was fed. */
export function encodeOrder(kind: keyof typeof orders, body: Uint8Array): Buffer {
  const header = Buffer.alloc(headerBytes)
  header.writeUInt8(orders[kind], 0)
  header.writeUInt32LE(body.length, 1)
  return Buffer.concat([header, body])
}

export const inputChunkBytes = mostBytes

/** Stands for the length of an input that is written to the socket after the request, as it comes. */
const inputFollows = 0xffff_ffff

/** The request of an action whose input follows it. */
export function encodeOpenRequest({ text, filter }: Spec): Buffer {
  return Buffer.concat([lengthsOf(text.length, filter.length, inputFollows), text, filter])
}

/** Three lengths, then the spec, its filter and what the action is to read on its standard input. */
export function encodeRequest({ text, filter }: Spec, input: string | Buffer = ''): Buffer {
  const bytes = Buffer.from(input)
  if (bytes.length > mostInput)
    throw new ClawmeshError('SANDBOX_FAILED', `The action's input has ${bytes.length} bytes, ${mostInput} are taken.`, {
      hint: 'Give it as a file.',
    })
  return Buffer.concat([lengthsOf(text.length, filter.length, bytes.length), text, filter, bytes])
}

function lengthsOf(...parts: readonly number[]): Buffer {
  const lengths = Buffer.alloc(4 * parts.length)
  for (const [place, length] of parts.entries()) lengths.writeUInt32LE(length, 4 * place)
  return lengths
}

/** Takes the pieces of a stream as they come, and gives each frame once it is whole. */
export class FrameReader {
  #rest = Buffer.alloc(0)

  /** Throws for what is not a frame: then nothing of what follows can be believed. */
  read(piece: Buffer): Frame[] {
    const frames: Frame[] = []
    let rest = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece])
    while (rest.length >= headerBytes) {
      const kind = kinds.get(rest[0] ?? 0)
      const length = rest.readUInt32LE(1)
      if (!kind || length > mostBytes)
        throw new ClawmeshError('SANDBOX_FAILED', 'The sandbox launcher said what is not understood.', {
          hint: 'Run `node sandbox/launcher/build.mjs` and try again.',
        })
      if (rest.length < headerBytes + length) break
      frames.push({ kind, bytes: rest.subarray(headerBytes, headerBytes + length) })
      rest = rest.subarray(headerBytes + length)
    }
    this.#rest = Buffer.from(rest)
    return frames
  }
}
