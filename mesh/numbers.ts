/** Numbers in bytes, little-endian. To make a DataView for each takes longer than to read or write it. */

export const readUint32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0

/** Of a larger number, its lowest 32 bits. */
export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

const octets = new Uint8Array(8)
const view = new DataView(octets.buffer)

export function readFloat64(bytes: Uint8Array, at: number): number {
  for (let n = 0; n < 8; n += 1) octets[n] = bytes[at + n] ?? 0
  return view.getFloat64(0, true)
}

export function writeFloat64(bytes: Uint8Array, at: number, value: number): void {
  view.setFloat64(0, value, true)
  bytes.set(octets, at)
}
