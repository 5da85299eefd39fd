/**
 * What is too large for one record of a bucket: the result of a step, a message that is kept. It stands beside the records, in sealed pieces, and a record names it.
 *
 * 1. All pieces are acknowledged before the record that names them is written: what is on record can be read.
 * 2. Each has a name by chance, so whoever was fenced off writes over nothing that its successor has put on record.
 * 3. A piece opens in its own place alone, and the record holds a digest of the whole: nothing can be changed, left out or exchanged unseen.
 */
import { z } from 'zod'
import { ClawmeshError } from '../policies/errors.js'
import { decode, encode } from './codec.js'
import { openWith, sealWith } from './seal/box.js'
import { digest, hex, randomBytes, utf8 } from './seal/keys.js'
import type { Bucket } from './transport/transport.js'

export const bodySchema = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  pieces: z.int().positive(),
  bytes: z.int().positive(),
  /** SHA-256 of the whole, in msgpack, as hex. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
})
export type Body = z.output<typeof bodySchema>

/** In bytes of msgpack. */
export const pieceBytes = 256 * 1024
export const mostBodyBytes = 64 * 1024 * 1024
/** So many pieces are on their way at a time. */
const atOnce = 8
const writeWithinMs = 30_000

/** What may be kept of one kind, in bytes of msgpack. */
export interface Allowance {
  /** As an error says it. */
  readonly what: string
  /** So much stands in the record itself. */
  readonly inRecord: number
  readonly most: number
  /** What to do with more. */
  readonly instead: string
}

/** What a record is to name; undefined for what it holds itself. `whole` is msgpack. Throws MESSAGE_INVALID where that is too much. */
export function bodyOf(whole: Uint8Array, { what, inRecord, most, instead }: Allowance): Body | undefined {
  if (whole.length > most)
    throw new ClawmeshError('MESSAGE_INVALID', `${what} is ${whole.length} bytes; ${most} can be kept.`, {
      hint: instead,
      data: { bytes: whole.length, most },
    })
  if (whole.length <= inRecord) return undefined
  const pieces = Math.ceil(whole.length / pieceBytes)
  return { id: hex(randomBytes(16)), pieces, bytes: whole.length, digest: hex(digest(whole)) }
}

export class Bodies {
  readonly #bucket: Bucket
  readonly #place: string
  readonly #key: Uint8Array

  /** `place` is the part of their names that says whose they are, `key` the one that seals the records. */
  constructor(bucket: Bucket, place: string, key: Uint8Array) {
    this.#bucket = bucket
    this.#place = place
    this.#key = key
  }

  /**
   * Has the record written that says `value`, or names it once the broker has all of it. Rejects with MESSAGE_INVALID where that is too much, and as `record` does: with FENCED, no record will ever
   * name it, and it is dropped.
   */
  async keep(value: unknown, allowance: Allowance, record: (body: Body | undefined) => Promise<void>): Promise<void> {
    const whole = encode(value)
    const body = bodyOf(whole, allowance)
    if (!body) return record(undefined)
    await this.write(body, whole)
    try {
      await record(body)
    } catch (error) {
      if (ClawmeshError.from(error).code === 'FENCED') await this.drop(body)
      throw error
    }
  }

  /** Resolves when the broker has all of it. */
  async write(body: Body, whole: Uint8Array): Promise<void> {
    await inWindow(body.pieces, async (number) => {
      const key = this.#keyOf(body, number)
      const piece = whole.subarray(number * pieceBytes, (number + 1) * pieceBytes)
      await this.#bucket.put(key, sealWith(this.#key, piece, utf8(key)), writeWithinMs)
    })
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

  /** Leaves a mark of each piece with the broker, as everything does that one who may only write removes. */
  async drop(body: Body): Promise<void> {
    await inWindow(body.pieces, (number) => this.#bucket.delete(this.#keyOf(body, number)))
  }

  /** Leaves nothing; for the authority. */
  purge({ id }: Pick<Body, 'id'>): Promise<void> {
    return this.#bucket.purge(`body.${this.#place}.${id}.*`)
  }

  /** All that stand there, also those that no record came to name. */
  async ids(): Promise<Set<string>> {
    return new Set([...(await this.#keys())].map((key) => key.split('.')[2] ?? ''))
  }

  /** All of them. */
  async forget(): Promise<void> {
    for (const key of await this.#keys()) await this.#bucket.delete(key)
  }

  async #keys(): Promise<Set<string>> {
    const keys = new Set<string>()
    const watch = await this.#bucket.watch(({ key, value }) => {
      if (value !== undefined) keys.add(key)
    }, `body.${this.#place}.*.*`)
    watch.unsubscribe()
    return keys
  }

  #keyOf({ id }: Pick<Body, 'id'>, number: number): string {
    return `body.${this.#place}.${id}.${number}`
  }
}

/** Where one fails nothing more is begun, and it is over when nothing is under way: what is then removed does not come again. */
async function inWindow(count: number, work: (number: number) => Promise<void>): Promise<void> {
  let next = 0
  const failures: unknown[] = []
  const workOn = async () => {
    while (next < count && failures.length === 0)
      await work(next++).catch((error: unknown) => {
        failures.push(error)
      })
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, workOn))
  if (failures.length > 0) throw failures[0]
}

const broken = (where: string) =>
  new ClawmeshError('UNAUTHENTIC', `What was kept in pieces is broken at ${where}: it was changed or removed.`, {
    hint: 'Do not go on with what it belongs to; look at the audit trail for what was done.',
  })
