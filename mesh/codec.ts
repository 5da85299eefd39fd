/**
 * msgpack for everything that crosses the mesh. The build of msgpackr without generated code is used, and records are
 * off: what a peer sent never becomes a program.
 */
import { Packr } from 'msgpackr/index-no-eval'
import { z } from 'zod'
import { ClawmeshError } from '../policies/errors.js'

const packr = new Packr({ useRecords: false, variableMapSize: true, int64AsType: 'number', moreTypes: false })

export function encode(value: unknown): Uint8Array {
  // A copy: msgpackr hands out a view of a buffer that it goes on using.
  return new Uint8Array(packr.pack(value))
}

/** Decodes bytes from outside. What comes back is `unknown` until a schema has spoken. */
export function decode(bytes: Uint8Array): unknown {
  try {
    return packr.unpack(bytes)
  } catch (cause) {
    throw new ClawmeshError('MESSAGE_INVALID', 'Bytes arrived that are not msgpack.', { cause })
  }
}

/** Bytes inside a decoded value. */
export const binary = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'expected bytes')
