/**
 * The authority's word on what the stream held: kept in a file beside the authority's key, outside the stream, so that a stream that was cut,
 * rewritten or rolled back is seen even if every chain in it is whole. Checkpoints are chained themselves; each covers the records since the last.
 */
import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { writeWhole } from '../disk.js'
import { digest, fromHex, hex, type SigningKey, sign, utf8, verifies } from '../seal/keys.js'
import { merkleRoot } from './merkle.js'

const checkpointSchema = z.object({
  /** Records 0 … count-1 of the stream, in its order. */
  count: z.number().int().nonnegative(),
  time: z.number().int(),
  /** Merkle root over the hashes of the records since the previous checkpoint. */
  root: z.string(),
  /** SHA-256 of the line before. */
  previous: z.string(),
  signature: z.string(),
})
export type Checkpoint = z.output<typeof checkpointSchema>

export function writeCheckpoint(file: string, hashes: Uint8Array[], key: SigningKey, time: number): Checkpoint {
  const earlier = readLines(file)
  const covered = earlier.length === 0 ? 0 : parseLine(file, earlier.at(-1) ?? '', earlier.length).count
  if (hashes.length < covered) {
    throw new ClawmeshError(
      'AUDIT_BROKEN',
      `The audit stream holds ${hashes.length} records; ${covered} were there at the last checkpoint.`,
      {
        hint: 'Run `clawmesh audit verify` and restore the stream from a replica or a backup.',
      },
    )
  }
  const unsigned = {
    count: hashes.length,
    time,
    root: hex(merkleRoot(hashes.slice(covered))),
    previous: hex(digest(utf8(earlier.at(-1) ?? ''))),
  }
  const checkpoint = { ...unsigned, signature: hex(sign('checkpoint', utf8(JSON.stringify(unsigned)), key)) }
  writeWhole(file, `${[...earlier, JSON.stringify(checkpoint)].join('\n')}\n`)
  return checkpoint
}

/** Reads and checks the file itself: signatures and order. Throws AUDIT_BROKEN naming the line. */
export function readCheckpoints(file: string, rootKey: Uint8Array): Checkpoint[] {
  let before = ''
  let count = 0
  return readLines(file).map((line, index) => {
    const checkpoint = parseLine(file, line, index + 1)
    const { signature, ...unsigned } = checkpoint
    const isSigned = verifies('checkpoint', utf8(JSON.stringify(unsigned)), fromHex(signature), rootKey)
    if (!isSigned || checkpoint.previous !== hex(digest(utf8(before))) || checkpoint.count < count) {
      throw new ClawmeshError(
        'AUDIT_BROKEN',
        `Checkpoint ${index + 1} in ${file} is not what the authority wrote there.`,
      )
    }
    before = line
    count = checkpoint.count
    return checkpoint
  })
}

function readLines(file: string): string[] {
  if (!existsSync(file)) return []
  // It is written whole each time, so a last line without an end is somebody's work.
  const lines = readFileSync(file, 'utf8').split('\n')
  if (lines.pop() === '') return lines
  throw new ClawmeshError('AUDIT_BROKEN', `The checkpoint file ${file} was cut: its last line has no end.`, {
    hint: 'Restore it from a backup. Without it a stream that was cut is noticed by the chain files alone.',
  })
}

function parseLine(file: string, line: string, number: number): Checkpoint {
  try {
    return checkpointSchema.parse(JSON.parse(line))
  } catch (cause) {
    throw new ClawmeshError('AUDIT_BROKEN', `Line ${number} of ${file} is no checkpoint.`, { cause })
  }
}
