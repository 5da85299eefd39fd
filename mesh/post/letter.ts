/**
 * One message between two runs: what it is, which call it belongs to, until when it counts, and its body.
 *
 *     [length of what follows, 4 bytes][kind, 1 byte][call, 4 bytes][deadline, 8 bytes][body, msgpack]        numbers little-endian
 *
 * Letters that are written in the same instant are sealed together, one behind the other.
 */
import { ClawmeshError } from '../../policies/errors.js'
import { decode, pack } from '../codec.js'
import { readFloat64, readUint32, writeFloat64, writeUint32 } from '../numbers.js'
import type { Peer } from '../seal/incarnation.js'

export const kinds = [
  'tell',
  'ask',
  'open',
  'reply',
  'error',
  'item',
  'end',
  'credit',
  'cancel',
  /** A part of one that is too large for a letter, and how many of those have come (parcels.ts). */
  'piece',
  'more',
] as const
export type Kind = (typeof kinds)[number]

/** What begins something, and is no answer. */
export const isRequest = (kind: Kind): boolean => kind === 'tell' || kind === 'ask' || kind === 'open'

export interface Letter {
  readonly peer: Peer
  readonly kind: Kind
  /** Joins a call with its answers; numbered by the caller, 0 for a tell. */
  readonly call: number
  /** Milliseconds since 1970. */
  readonly deadline: number
  readonly body: unknown
}

/** In bytes of msgpack. What is larger than a piece goes in pieces; NATS refuses more than 1 MiB by default. */
export const pieceBytes = 256 * 1024
/** So many pieces of one letter are on their way at a time. */
export const window = 16
export const mostBodyBytes = 64 * 1024 * 1024

const lengthBytes = 4
const headLength = lengthBytes + 13

/** Throws MESSAGE_INVALID for a body that is too large for any letter. What it gives is a view of a buffer that the next call may write over. */
export function packBody(body: unknown): Uint8Array {
  const packed = pack(body)
  if (packed.length <= mostBodyBytes) return packed
  throw new ClawmeshError(
    'MESSAGE_INVALID',
    `A message of ${packed.length} bytes is too large; the limit is ${mostBodyBytes}.`,
    { hint: 'Send it as a stream of smaller items.' },
  )
}

export const encodeLetter = (kind: Kind, call: number, deadline: number, body: unknown): Uint8Array =>
  writeLetter(kind, call, deadline, packBody(body))

/** `packed`: its body. */
export function writeLetter(kind: Kind, call: number, deadline: number, packed: Uint8Array): Uint8Array {
  const plain = new Uint8Array(headLength + packed.length)
  writeUint32(plain, 0, plain.length - lengthBytes)
  plain[4] = kinds.indexOf(kind)
  writeUint32(plain, 5, call)
  writeFloat64(plain, 9, deadline)
  plain.set(packed, headLength)
  return plain
}

/** Reads letters one after the other. Throws MESSAGE_INVALID at the first that is none. */
export function* decodeLetters(peer: Peer, bytes: Uint8Array): Iterable<Letter> {
  let at = 0
  while (at < bytes.length) {
    const end = at + lengthBytes + (at + lengthBytes <= bytes.length ? readUint32(bytes, at) : 0)
    const kind = kinds[bytes[at + 4] ?? -1]
    if (kind === undefined || end <= at + headLength || end > bytes.length)
      throw new ClawmeshError('MESSAGE_INVALID', 'A message arrived that is no letter.')
    const [call, deadline] = [readUint32(bytes, at + 5), readFloat64(bytes, at + 9)]
    yield { peer, kind, call, deadline, body: decode(bytes.subarray(at + headLength, end)) }
    at = end
  }
}
