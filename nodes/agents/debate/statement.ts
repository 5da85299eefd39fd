/**
 * What a voter says in the room of its debate: its vote, under a key of its own that it gives to the holder alone. The holder gives it on when the round is over, and
 * only to those who are to hear this voter: so nobody can read another's vote before all have been cast, and everybody reads it as its voter wrote it.
 *
 * The digest of the key stands beside it. Who said one thing cannot find a second key that opens it as another.
 */
import { z } from 'zod'
import { binary, decode, encode } from '../../../mesh/codec.js'
import { openWith, sealWith } from '../../../mesh/seal/box.js'
import { digest, randomBytes, sameBytes, utf8 } from '../../../mesh/seal/keys.js'
import type { Vote } from './tally.js'

export const statementSchema = z.object({
  voter: z.string(),
  round: z.int().min(1),
  lock: binary,
  closed: binary,
})
export type Statement = z.output<typeof statementSchema>

/** Where a statement is to be found, and what opens it. */
export const openerSchema = z.object({
  voter: z.string(),
  /** The node that said it. */
  node: z.string(),
  round: z.int().min(1),
  key: binary,
})
export type Opener = z.output<typeof openerSchema>

const contentSchema = z
  .tuple([z.string(), z.number(), z.string()])
  .transform(([answer, confidence, reason]) => ({ answer, confidence, reason }))

/** `room`: the id of the room in which it is said. */
export function closeStatement(
  { voter, answer, confidence, reason }: Vote,
  round: number,
  room: string,
): { statement: Statement; key: Uint8Array } {
  const key = randomBytes(32)
  const closed = sealWith(key, encode([answer, confidence, reason]), place(room, round, voter))
  return { statement: { voter, round, lock: digest(key), closed }, key }
}

/** Undefined if this key does not open it. */
export function openStatement(
  { voter, round, lock, closed }: Statement,
  key: Uint8Array,
  room: string,
): Vote | undefined {
  if (!sameBytes(digest(key), lock)) return undefined
  try {
    return { voter, ...contentSchema.parse(decode(openWith(key, closed, place(room, round, voter)))) }
  } catch {
    return undefined
  }
}

const place = (room: string, round: number, voter: string) => utf8(`clawmesh debate\0${room}\0${round}\0${voter}`)
