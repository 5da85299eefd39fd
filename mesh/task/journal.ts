/**
 * The journal of one task: records in order, each sealed, each chained to the one before, in a bucket of the broker.
 *
 * 1. A record is written as the next one or not at all: its place is taken by compare-and-swap, so of two who write only one goes on. Records that take nothing over may come
 *    in between, where the writer says so: they are read, and his stands behind them.
 * 2. A record counts once the broker has acknowledged it. When the broker is away, or its answer is lost, the writer asks what stands there.
 * 3. Whoever reads it back sees that nothing was changed, left out or swapped. A broker that forgets the newest records can't be seen from here alone.
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { binary, decode, encode } from '../codec.js'
import { openWith, sealWith } from '../seal/box.js'
import { digest, sameBytes, utf8 } from '../seal/keys.js'
import type { Bucket, Entry } from '../transport/transport.js'

/** Whether a record of somebody else may stand before one's own; it is told each, once. */
export type TakesIn = (content: unknown) => boolean

const recordSchema = z.tuple([binary, z.unknown()])
const start = new Uint8Array(32)

/** NATS refuses more than 1 MiB by default. */
const mostBytes = 900 * 1024
/** How long a record waits for a broker that is away. */
const writeWithinMs = 30_000
const againMs = 100

export class Journal {
  readonly #bucket: Bucket
  readonly #place: string
  readonly #key: Uint8Array
  /** Hash of the newest record, over its sealed form. */
  #head = start
  #length = 0
  #writing: Promise<void> = Promise.resolve()

  /** `place` is the first part of its keys in the bucket, `key` 32 secret bytes. */
  constructor(bucket: Bucket, place: string, key: Uint8Array) {
    this.#bucket = bucket
    this.#place = place
    this.#key = key
  }

  /** Reads what stands there. `entries` are those of this journal, in any order. Throws UNAUTHENTIC at the first that does not follow. */
  read(entries: Entry[]): unknown[] {
    const byKey = new Map(entries.map((entry) => [entry.key, entry.value]))
    const records: unknown[] = []
    for (let value = byKey.get(this.#next); value !== undefined; value = byKey.get(this.#next)) {
      records.push(this.#follows(value))
      this.#advance(value)
    }
    if (records.length !== byKey.size) throw broken(this.#next)
    return records
  }

  /**
   * Resolves when the broker has it. Rejects with FENCED if somebody else has written on, unless `takesIn` says of each of his records that it may stand before this one,
   * with BROKER_UNAVAILABLE if nobody answers, and with MESSAGE_INVALID if it is too large.
   */
  append(content: unknown, takesIn: TakesIn = () => false): Promise<void> {
    const written = this.#writing.then(() => this.#write(content, takesIn))
    this.#writing = written.catch(() => undefined)
    return written
  }

  async #write(content: unknown, takesIn: TakesIn): Promise<void> {
    let value = this.#seal(content)
    for (const until = performance.now() + writeWithinMs; ; ) {
      try {
        if ((await this.#bucket.swap(this.#next, value, 0)) !== undefined) return this.#advance(value)
        const standing = (await this.#bucket.get(this.#next))?.value
        if (standing && sameBytes(standing, value)) return this.#advance(value)
        if (!standing || !this.#mayStand(standing, takesIn)) throw fenced()
        this.#advance(standing)
        value = this.#seal(content)
      } catch (error) {
        const failure = ClawmeshError.from(error)
        if (!failure.retry || performance.now() > until) throw failure
        await new Promise((resolve) => setTimeout(resolve, againMs))
      }
    }
  }

  #seal(content: unknown): Uint8Array {
    const value = sealWith(this.#key, encode([this.#head, content]), utf8(this.#next))
    if (value.length <= mostBytes) return value
    throw new ClawmeshError(
      'MESSAGE_INVALID',
      `A record of a task is ${value.length} bytes; the limit is ${mostBytes}.`,
      {
        hint: 'Keep what the task is about, or came to, in a file, and name that.',
      },
    )
  }

  /** What does not follow is of another journal than the one that is written here. */
  #mayStand(value: Uint8Array, takesIn: TakesIn): boolean {
    let content: unknown
    try {
      content = this.#follows(value)
    } catch {
      return false
    }
    return takesIn(content)
  }

  /** What stands at the next place. Throws UNAUTHENTIC if it does not follow what stands before it. */
  #follows(value: Uint8Array): unknown {
    const record = recordSchema.safeParse(this.#open(value))
    if (!record.success || !sameBytes(record.data[0], this.#head)) throw broken(this.#next)
    return record.data[1]
  }

  #open(value: Uint8Array): unknown {
    try {
      return decode(openWith(this.#key, value, utf8(this.#next)))
    } catch {
      throw broken(this.#next)
    }
  }

  get #next(): string {
    return `${this.#place}.${this.#length}`
  }

  #advance(value: Uint8Array): void {
    this.#head = new Uint8Array(digest(value))
    this.#length += 1
  }
}

const fenced = () =>
  new ClawmeshError('FENCED', 'Another supervisor goes on with this task.', {
    hint: 'Look at the task there; nothing more is done with it here.',
  })

const broken = (key: string) =>
  new ClawmeshError('UNAUTHENTIC', `The journal of a task is broken at ${key}: something was changed or left out.`, {
    hint: 'Do not go on with this task; look at the audit trail for what was done.',
  })
