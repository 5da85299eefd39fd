/**
 * msgpack for everything that crosses the mesh. The build of msgpackr without generated code is used, and records are
 * off: what a peer sent never becomes a program. So are references: what is small here stays small when it is written out, and has no circles.
 */
import { Packr } from 'msgpackr/index-no-eval'
import { z } from 'zod'
import { ClawmeshError } from '../policies/errors.js'

const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  int64AsType: 'number',
  moreTypes: false,
  structuredClone: false,
})

export function encode(value: unknown): Uint8Array {
  return new Uint8Array(pack(value))
}

/** A view of a buffer that the next call may write over: to be copied at once. */
export function pack(value: unknown): Uint8Array {
  return packr.pack(value)
}

/** Decodes bytes from outside. What comes back is `unknown` until a schema has spoken. */
export function decode(bytes: Uint8Array): unknown {
  try {
    return packr.unpack(bytes)
  } catch (cause) {
    throw new ClawmeshError('MESSAGE_INVALID', 'Bytes arrived that are not msgpack.', { cause })
  }
}

/** Milliseconds since 1970: no Date is later. */
export const latestTime = 8.64e15

/** Bytes inside a decoded value. */
export const binary = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'expected bytes')

/** A time inside a decoded value: milliseconds since 1970, as far as a Date goes. */
export const time = z.number().int().min(-latestTime).max(latestTime)
