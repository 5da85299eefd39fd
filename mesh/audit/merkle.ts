import { digest } from '../seal/keys.js'

const leafMark = new Uint8Array([0])
const nodeMark = new Uint8Array([1])

/** The Merkle tree hash of RFC 6962, section 2.1, with SHA-256. */
export function merkleRoot(leaves: Uint8Array[]): Uint8Array {
  const [only] = leaves
  if (only === undefined) return digest()
  if (leaves.length === 1) return digest(leafMark, only)
  const split = 2 ** Math.floor(Math.log2(leaves.length - 1))
  return digest(nodeMark, merkleRoot(leaves.slice(0, split)), merkleRoot(leaves.slice(split)))
}
