/**
 * Writes this node's audit chain: first to its own disk, then to the stream, in order.
 *
 * 1. `record` resolves when the event is on this disk: it has happened and will not be lost. It reaches the stream when the broker is there.
 * 2. `intend` resolves when the stream has acknowledged it too, and rejects with AUDIT_UNAVAILABLE if that takes too long: whatever was intended
 *    must then not be done.
 * 3. Events that are written while the disk is busy are synced together, once, before any of them is sent on.
 * 4. One batch is under way at a time, so the stream holds a chain in its order. A batch that was not acknowledged is sent again, unchanged, under an
 *    id that only its producer can make; the stream keeps it once. What a run left unsent the next run sends.
 */
import { createHmac } from 'node:crypto'
import { ClawmeshError } from '../../policies/errors.js'
import type { Addresses } from '../address.js'
import { encode } from '../codec.js'
import type { Credentials } from '../seal/credentials.js'
import { digest } from '../seal/keys.js'
import type { AppendLog } from '../transport/transport.js'
import type { Chain } from './chain.js'
import { type AuditEvent, sealEvent } from './event.js'
import { noHash, writeRecord } from './record.js'

export interface AuditWriterOptions {
  credentials: Credentials
  addresses: Addresses
  log: AppendLog
  chain: Chain
  now: () => number
}

const acknowledgeWithinMs = 10_000
const retryMs = 200
/** A batch is one message on the stream. */
const batchRecords = 256
const batchBytes = 256 * 1024

export class AuditWriter {
  readonly #options: AuditWriterOptions
  readonly #producer: string
  readonly #queue: Uint8Array[] = []
  readonly #waiting = new Set<{ number: number; reached: () => void }>()
  /** What to tell who waits for the disk. */
  #unsynced: { resolve: () => void; reject: (error: unknown) => void }[] = []
  #syncing: Promise<void> | undefined
  #number = 0
  #previous: Uint8Array = noHash
  #introduced = false
  #sending = false
  #closed = false
  /** How many records this disk holds, and how many the stream. */
  #synced = 0
  #sent = 0

  constructor(options: AuditWriterOptions) {
    this.#options = options
    this.#producer = options.credentials.certificate.holder
    const earlier = options.chain.read()
    const last = earlier.at(-1)
    if (last) this.#previous = digest(last)
    this.#number = earlier.length
    this.#synced = earlier.length
    this.#sent = options.chain.sent()
    this.#queue.push(...earlier.slice(this.#sent))
    if (this.#queue.length > 0) this.#send()
  }

  /** Events that stand on this disk and are not yet known to stand on the stream. */
  get lag(): number {
    return this.#queue.length
  }

  async record(event: AuditEvent): Promise<void> {
    this.#append(event)
    await this.#onDisk()
  }

  async intend(event: AuditEvent): Promise<void> {
    const number = this.#append(event)
    await this.#onDisk()
    if (!(await this.#acknowledgedWithin(number, acknowledgeWithinMs))) {
      throw new ClawmeshError(
        'AUDIT_UNAVAILABLE',
        'The audit stream did not take the intent, so the action was not done.',
        {
          hint: 'Check that the broker runs and its disk has room, then try again.',
        },
      )
    }
  }

  /** Waits until the stream holds everything, or the time is up. */
  async flush(withinMs: number): Promise<boolean> {
    return this.#number === 0 || this.#acknowledgedWithin(this.#number - 1, withinMs)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#syncing
    this.#options.chain.close()
  }

  #append(event: AuditEvent): number {
    const { credentials, chain, now } = this.#options
    const number = this.#number
    const bytes = writeRecord(
      {
        producer: this.#producer,
        number,
        previous: this.#previous,
        time: now(),
        certificate: this.#introduced ? undefined : credentials.certificate.wire,
        sealed: sealEvent(event, credentials.auditorKey),
      },
      credentials.signing,
    )
    chain.append(bytes)
    this.#introduced = true
    this.#number += 1
    this.#previous = digest(bytes)
    this.#queue.push(bytes)
    return number
  }

  /** Resolves when everything that is appended now is on disk. */
  #onDisk(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#unsynced.push({ resolve, reject })
      this.#syncing ??= this.#syncAll()
    })
  }

  async #syncAll(): Promise<void> {
    while (this.#unsynced.length > 0) {
      const waiting = this.#unsynced
      const reached = this.#number
      this.#unsynced = []
      try {
        await this.#options.chain.sync()
        this.#synced = reached
        for (const { resolve } of waiting) resolve()
        this.#send()
      } catch (error) {
        for (const { reject } of waiting) reject(error)
      }
    }
    this.#syncing = undefined
  }

  /** One sender at a time, so that the stream holds this chain in order. */
  #send(): void {
    if (this.#sending || this.#closed) return
    this.#sending = true
    void this.#sendAll()
  }

  async #sendAll(): Promise<void> {
    const { log, addresses, chain } = this.#options
    try {
      while (this.#sent < this.#synced && !this.#closed) {
        const batch = batchOf(this.#queue.slice(0, Math.min(batchRecords, this.#synced - this.#sent)))
        const wire = encode(batch)
        const id = this.#idOf(this.#sent, batch.length)
        while (!(await this.#sentOnce(() => log.append(addresses.audit(this.#producer), id, wire)))) {
          if (this.#closed) return
          await new Promise((resolve) => setTimeout(resolve, retryMs))
        }
        if (this.#closed) return
        this.#queue.splice(0, batch.length)
        this.#sent += batch.length
        chain.markSent(this.#sent)
        this.#tellWaiting()
      }
    } finally {
      // In the same breath as the last look at the queue: what is appended a moment later must find nobody sending.
      this.#sending = false
    }
  }

  async #sentOnce(append: () => Promise<void>): Promise<boolean> {
    try {
      await append()
      return true
    } catch {
      // The broker is away or full; lag() shows it, and intend() gives up on it.
      return false
    }
  }

  #tellWaiting(): void {
    for (const waiter of [...this.#waiting]) if (waiter.number < this.#sent) waiter.reached()
  }

  #acknowledgedWithin(number: number, withinMs: number): Promise<boolean> {
    if (number < this.#sent) return Promise.resolve(true)
    return new Promise((resolve) => {
      const finish = (reached: boolean) => {
        clearTimeout(timer)
        this.#waiting.delete(waiter)
        resolve(reached)
      }
      const waiter = { number, reached: () => finish(true) }
      const timer = setTimeout(() => finish(false), withinMs)
      this.#waiting.add(waiter)
    })
  }

  /** Nobody else can guess it, so nobody can squat it and have our record taken for a repetition. */
  #idOf(first: number, count: number): string {
    return createHmac('sha256', this.#options.credentials.signing.secretKey)
      .update(`audit ${first} ${count}`)
      .digest('base64url')
  }
}

function batchOf(queue: Uint8Array[]): Uint8Array[] {
  let bytes = 0
  const batch: Uint8Array[] = []
  for (const record of queue) {
    bytes += record.length
    if (batch.length > 0 && bytes > batchBytes) break
    batch.push(record)
  }
  return batch
}
