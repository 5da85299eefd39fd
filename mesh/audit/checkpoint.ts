/**
 * The authority's word on what the stream held: kept in a file beside the authority's key, outside the stream, so that a stream that was cut,
 * rewritten or rolled back is seen even if every chain in it is whole. Checkpoints are chained themselves; each covers the records since the last.
 *
 * A file can lose its end, or be lost. So a signed note in another place says what the newest checkpoint is, and each run writes into its own chain
 * which checkpoints it found (`CheckpointMark`): `missingCheckpoints` holds the file against both.
 */
import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { writeWhole } from '../disk.js'
import { digest, fromHex, hex, type SigningKey, sign, utf8, verifies } from '../seal/keys.js'
import { merkleRoot } from './merkle.js'
import type { Fault } from './reader.js'

export const checkpointSchema = z.object({
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

export const markSchema = z.object({
  /** How many checkpoints there were. */
  checkpoints: z.number().int().positive(),
  /** SHA-256 of the newest one's line. */
  newest: z.string(),
})
export type CheckpointMark = z.output<typeof markSchema>
const noteSchema = markSchema.extend({ signature: z.string() })

/** Where checkpoints are kept, and where the note of the newest one is: best not in the same folder. */
export interface CheckpointFiles {
  checkpoints: string
  newestCheckpoint: string
}

/** Adds one that covers all of `hashes`, then notes it. */
export function writeCheckpoint(
  files: CheckpointFiles,
  hashes: Uint8Array[],
  key: SigningKey,
  time: number,
): Checkpoint {
  const { checkpoints: file } = files
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
  const lines = [...earlier, JSON.stringify(checkpoint)]
  writeWhole(file, `${lines.join('\n')}\n`)
  // Second: a crash in between leaves a note that is one behind, which is no fault.
  const mark = markOf(lines)
  if (mark) {
    const signature = hex(sign('newest checkpoint', utf8(JSON.stringify(mark)), key))
    writeWhole(files.newestCheckpoint, `${JSON.stringify({ ...mark, signature })}\n`)
  }
  return checkpoint
}

/** What a run that begins now finds. Undefined: no checkpoint yet. */
export const checkpointMark = (file: string): CheckpointMark | undefined => markOf(readLines(file))

function markOf(lines: string[]): CheckpointMark | undefined {
  const newest = lines.at(-1)
  return newest === undefined ? undefined : { checkpoints: lines.length, newest: hex(digest(utf8(newest))) }
}

/** What the note and the runs' own marks know of and the file does not have. */
export function missingCheckpoints(files: CheckpointFiles, marks: CheckpointMark[], rootKey: Uint8Array): Fault[] {
  const lines = readLines(files.checkpoints)
  const faults: Fault[] = []
  const expect = ({ checkpoints, newest }: CheckpointMark, who: string) => {
    const line = lines[checkpoints - 1]
    if (line !== undefined && hex(digest(utf8(line))) === newest) return
    const what =
      line === undefined
        ? `${lines.length} checkpoint${lines.length === 1 ? ' is' : 's are'} left; ${who} knows of ${checkpoints}`
        : `checkpoint ${checkpoints} is not the one that ${who} knows of`
    faults.push({ place: files.checkpoints, what })
  }
  const note = readNote(files.newestCheckpoint, rootKey)
  if (note) expect(note, files.newestCheckpoint)
  // The note of the very first may be one that a crash kept from being written.
  else if (lines.length > 1)
    faults.push({ place: files.newestCheckpoint, what: 'the note of the newest checkpoint is gone' })
  for (const mark of marks) expect(mark, 'the audit stream')
  return faults
}

function readNote(file: string, rootKey: Uint8Array): CheckpointMark | undefined {
  if (!existsSync(file)) return undefined
  const broken = (cause?: unknown) =>
    new ClawmeshError(
      'AUDIT_BROKEN',
      `The note of the newest checkpoint, ${file}, is not what the authority wrote there.`,
      { cause },
    )
  let note: z.output<typeof noteSchema>
  try {
    note = noteSchema.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (cause) {
    throw broken(cause)
  }
  const { signature, ...mark } = note
  if (!verifies('newest checkpoint', utf8(JSON.stringify(mark)), fromHex(signature), rootKey)) throw broken()
  return mark
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
