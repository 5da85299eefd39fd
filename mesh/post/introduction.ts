/** What both sides of a handshake say under its seal: their time, their index of the session, and then what they like. */
import { ClawmeshError } from '../../policies/errors.js'

export interface Introduction {
  /** Milliseconds since 1970. */
  time: number
  index: number
  rest: Uint8Array
}

const length = 12

export function introduction(time: number, index: number, rest: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(length + rest.length)
  const view = new DataView(bytes.buffer)
  view.setFloat64(0, time, true)
  view.setUint32(8, index, true)
  bytes.set(rest, length)
  return bytes
}

/** Throws MESSAGE_INVALID. */
export function readIntroduction(bytes: Uint8Array): Introduction {
  if (bytes.length < length) throw new ClawmeshError('MESSAGE_INVALID', 'A handshake arrived that is too short.')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return { time: view.getFloat64(0, true), index: view.getUint32(8, true), rest: bytes.subarray(length) }
}
