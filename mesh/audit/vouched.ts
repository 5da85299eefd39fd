/** Whether records that are the trail, or a part of it, are what the authority's checkpoints say of them. Pure. An export is such a part. */
import { hex } from '../seal/keys.js'
import type { Checkpoint } from './checkpoint.js'
import { merkleRoot } from './merkle.js'

export interface Part {
  /** How many records of the trail stand before it. */
  before: number
  /** Of its records, in their order. */
  hashes: readonly Uint8Array[]
}

export interface Vouched {
  /** How many of its records a checkpoint covers: those behind the last one are held by their chains alone, and whether more followed them nobody has said. */
  records: number
  /** The newest checkpoint's time, in milliseconds since 1970; undefined where none can be compared with the newest records of the part. */
  at: number | undefined
  /** What does not agree. */
  fault: string | undefined
}

export function compareWithCheckpoints({ before, hashes }: Part, checkpoints: readonly Checkpoint[]): Vouched {
  const end = before + hashes.length
  let from = 0
  let vouched: Vouched = { records: 0, at: undefined, fault: undefined }
  for (const { count, root, time } of checkpoints) {
    const begin = from
    from = count
    if (count > end) {
      const fault = `it ends after ${end} records, and the authority vouched for ${count} at ${new Date(time).toISOString()}`
      return { ...vouched, fault }
    }
    // What stood before the part is not there to be compared.
    if (begin < before) continue
    if (hex(merkleRoot(hashes.slice(begin - before, count - before))) !== root)
      return { ...vouched, fault: `its records ${begin} to ${count - 1} are not what the authority vouched for` }
    vouched = { records: count - before, at: time, fault: undefined }
  }
  return vouched
}
