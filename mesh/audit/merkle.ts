/** The Merkle tree of RFC 6962, section 2.1, with SHA-256. */
import { digest } from '../seal/keys.js'

const leafMark = new Uint8Array([0])
const nodeMark = new Uint8Array([1])

export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves
  if (only === undefined) return digest()
  if (leaves.length === 1) return leafOf(only)
  const split = splitOf(leaves.length)
  return nodeOf(merkleRoot(leaves.slice(0, split)), merkleRoot(leaves.slice(split)))
}

/** The hashes that lead from a leaf to the root, from the bottom: section 2.1.1. */
export function inclusionPath(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  if (leaves.length <= 1) return []
  const split = splitOf(leaves.length)
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)]
  return index < split
    ? [...inclusionPath(left, index), merkleRoot(right)]
    : [...inclusionPath(right, index - split), merkleRoot(left)]
}

/** The root that a leaf and its path come to in a tree of this size; undefined if the path is not one of such a tree. */
export function climb(
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
): Uint8Array | undefined {
  if (index >= size || path.length > mostLevels) return undefined
  if (size === 1) return path.length === 0 ? leafOf(leaf) : undefined
  const sibling = path.at(-1)
  if (!sibling) return undefined
  const split = splitOf(size)
  const isLeft = index < split
  const own = isLeft
    ? climb(leaf, index, split, path.slice(0, -1))
    : climb(leaf, index - split, size - split, path.slice(0, -1))
  if (!own) return undefined
  return isLeft ? nodeOf(own, sibling) : nodeOf(sibling, own)
}

/** No tree that can be counted is higher. */
const mostLevels = 53

/** The largest power of two below. */
const splitOf = (size: number): number => 2 ** Math.floor(Math.log2(size - 1))

const leafOf = (leaf: Uint8Array): Uint8Array => digest(leafMark, leaf)
const nodeOf = (left: Uint8Array, right: Uint8Array): Uint8Array => digest(nodeMark, left, right)
