/**
 * What goes over the two pipes of the process that holds the keys: frames of a length, a kind, the number of a question, and a body.
 * The body is JSON but where it is said otherwise.
 */
export const frameKinds = {
  /** To it, first: the providers, and what it needs to know of tokens. */
  opening: 1,
  /** To it: a token on one line, then the bytes that are to leave. */
  ask: 2,
  /** To it: nobody waits any more for the answer. No body. */
  cancel: 3,
  /** To it: so many bytes of deltas were taken, and as many more may come. */
  taken: 4,
  /** From it: it has opened the keys. No body. */
  ready: 5,
  delta: 6,
  /** From it: the answer was whole. No body. */
  end: 7,
  failed: 8,
} as const
export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds]

export interface Frame {
  readonly kind: FrameKind
  /** Of the question; 0 where it is about none. */
  readonly id: number
  readonly body: Buffer
}

const lengthBytes = 4
const headerBytes = lengthBytes + 1 + 4
/** A router reads texts of 12 Mi characters; as JSON in UTF-8 those are fewer bytes than this. */
export const mostBytes = 128 * 1024 * 1024

/** Of what comes back: one event of a provider's stream, which is shorter. */
export const mostAnswerBytes = 32 * 1024 * 1024

/** In one piece: each piece would be a way of its own through a sandbox. */
export function encodeFrame(kind: FrameKind, id: number, ...bodies: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(headerBytes)
  const length = bodies.reduce((sum, body) => sum + body.length, 0)
  if (length > mostBytes) throw new RangeError(`a frame of ${length} bytes is too long`)
  header.writeUInt32LE(length, 0)
  header.writeUInt8(kind, lengthBytes)
  header.writeUInt32LE(id, lengthBytes + 1)
  return Buffer.concat([header, ...bodies])
}

export const jsonBody = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

const kinds: ReadonlySet<number> = new Set(Object.values(frameKinds))
const isKind = (kind: number): kind is FrameKind => kinds.has(kind)

/** Takes the pieces of a pipe as they come, and gives each frame once it is whole. */
export class FrameReader {
  readonly #most: number
  #pieces: Buffer[] = []
  #held = 0
  #wanted = headerBytes

  /** @param most bytes of a body */
  constructor(most = mostBytes) {
    this.#most = most
  }

  /** Throws RangeError for what is no frame: then nothing of what follows can be believed. */
  read(piece: Buffer): Frame[] {
    this.#pieces.push(piece)
    this.#held += piece.length
    if (this.#held < this.#wanted) return []
    let rest = Buffer.concat(this.#pieces)
    const frames: Frame[] = []
    this.#wanted = headerBytes
    while (rest.length >= headerBytes) {
      const whole = headerBytes + rest.readUInt32LE(0)
      const kind = rest.readUInt8(lengthBytes)
      if (whole > headerBytes + this.#most || !isKind(kind)) throw new RangeError('it said what is no frame')
      this.#wanted = whole
      if (rest.length < whole) break
      frames.push({ kind, id: rest.readUInt32LE(lengthBytes + 1), body: rest.subarray(headerBytes, whole) })
      rest = rest.subarray(whole)
      this.#wanted = headerBytes
    }
    this.#pieces = [rest]
    this.#held = rest.length
    return frames
  }
}

/** A body of two parts: one line of JSON, and the bytes behind it. */
export function splitLine(body: Buffer): { line: Buffer; rest: Buffer } {
  const at = body.indexOf(0x0a)
  return at < 0
    ? { line: body, rest: body.subarray(body.length) }
    : { line: body.subarray(0, at), rest: body.subarray(at + 1) }
}
