/**
 * A result that is too large for a record of a journal. It stands beside the journal in the same bucket, in sealed pieces, and the record names it.
 *
 * 1. All pieces are acknowledged before the record that names them is written: what is on record can be read.
 * 2. Each time it is kept it has a name by chance, so a supervisor that was fenced off writes over nothing that its successor has put on record.
 * 3. A piece opens in its own place alone, and the record holds a digest of the whole: nothing can be changed, left out or exchanged unseen.
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { decode, encode } from '../codec.js'
import { openWith, sealWith } from '../seal/box.js'
import { digest, hex, randomBytes, utf8 } from '../seal/keys.js'
import type { Bucket } from '../transport/transport.js'

export const bodySchema = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  pieces: z.int().positive(),
  bytes: z.int().positive(),
  /** SHA-256 of the whole, in msgpack, as hex. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
})
export type Body = z.output<typeof bodySchema>

/** In bytes of msgpack. What is larger than a piece is kept as a body. */
export const pieceBytes = 256 * 1024
export const mostBodyBytes = 64 * 1024 * 1024
/** So many pieces are on their way at a time. */
const atOnce = 8
const writeWithinMs = 30_000

export class Bodies {
  readonly #bucket: Bucket
  readonly #place: string
  readonly #key: Uint8Array

  /** `place` is that of the journal, `key` the one that seals it. */
  constructor(bucket: Bucket, place: string, key: Uint8Array) {
    this.#bucket = bucket
    this.#place = place
    this.#key = key
  }

  /** What a record is to say of a result: itself, or where it is kept. Rejects with MESSAGE_INVALID if it is too large for that, too. */
  async keep(result: unknown): Promise<{ result: unknown } | { result: undefined; body: Body }> {
    const whole = encode(result)
    if (whole.length <= pieceBytes) return { result }
    if (whole.length > mostBodyBytes)
      throw new ClawmeshError(
        'MESSAGE_INVALID',
        `The result of a step is ${whole.length} bytes; ${mostBodyBytes} can be kept.`,
        {
          hint: 'Write it to a file and give back where that is, or cut the step into smaller ones.',
          data: { bytes: whole.length, most: mostBodyBytes },
        },
      )
    const pieces = Math.ceil(whole.length / pieceBytes)
    const body = { id: hex(randomBytes(16)), pieces, bytes: whole.length, digest: hex(digest(whole)) }
    await inWindow(pieces, async (number) => {
      const key = this.#keyOf(body, number)
      const piece = whole.subarray(number * pieceBytes, (number + 1) * pieceBytes)
      await this.#bucket.put(key, sealWith(this.#key, piece, utf8(key)), writeWithinMs)
    })
    return { result: undefined, body }
  }

  /** Rejects with UNAUTHENTIC if it is not what was kept. */
  async read(body: Body): Promise<unknown> {
    if (body.bytes > mostBodyBytes || body.pieces !== Math.ceil(body.bytes / pieceBytes)) throw broken(this.#place)
    const whole = new Uint8Array(body.bytes)
    await inWindow(body.pieces, async (number) => {
      const key = this.#keyOf(body, number)
      const sealed = (await this.#bucket.get(key))?.value
      if (!sealed) throw broken(key)
      const piece = openWith(this.#key, sealed, utf8(key))
      if (piece.length !== Math.min(pieceBytes, body.bytes - number * pieceBytes)) throw broken(key)
      whole.set(piece, number * pieceBytes)
    })
    if (hex(digest(whole)) !== body.digest) throw broken(this.#place)
    return decode(whole)
  }

  async drop(body: Body): Promise<void> {
    await inWindow(body.pieces, (number) => this.#bucket.delete(this.#keyOf(body, number)))
  }

  /** All of the task, also those that no record came to name. */
  async forget(): Promise<void> {
    const keys = new Set<string>()
    const watch = await this.#bucket.watch(({ key, value }) => {
      if (value !== undefined) keys.add(key)
    }, `body.${this.#place}.*.*`)
    watch.unsubscribe()
    for (const key of keys) await this.#bucket.delete(key)
  }

  #keyOf({ id }: Pick<Body, 'id'>, number: number): string {
    return `body.${this.#place}.${id}.${number}`
  }
}

async function inWindow(count: number, work: (number: number) => Promise<void>): Promise<void> {
  let next = 0
  const workOn = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, workOn))
}

const broken = (where: string) =>
  new ClawmeshError('UNAUTHENTIC', `A result that a task has kept is broken at ${where}: it was changed or removed.`, {
    hint: 'Do not go on with this task; look at the audit trail for what was done.',
  })
