/**
 * Writes this node's audit chain: first to its own disk, then to the stream, in order.
 *
 * 1. `record` resolves when the event is on this disk: it has happened and will not be lost. It reaches the stream when the broker is there.
 * 2. `intend` resolves when the stream has acknowledged it too, and rejects with AUDIT_UNAVAILABLE if that takes too long: whatever was intended
 *    must then not be done.
 * 3. Events that come together, or while the disk is busy, are one record: sealed, signed, written and synced once, before any of it is sent on.
 * 4. One batch is under way at a time, so the stream holds a chain in its order. A batch that was not acknowledged is sent again, unchanged, under an
 *    id that only its producer can make; the stream keeps it once. What a run left unsent the next run sends.
 * 5. No event is larger than a message of the stream takes, since all that follows would wait behind it for ever: one that happened is cut, one that was intended
 *    is refused.
 */
import { createHmac } from 'node:crypto'
import { ClawmeshError } from '../../policies/errors.js'
import type { Addresses } from '../address.js'
import { encode } from '../codec.js'
import type { Credentials } from '../seal/credentials.js'
import { type AppendLog, failoverMs } from '../transport/transport.js'
import type { Chain } from './chain.js'
import { type AuditEvent, packEvent } from './event.js'
import type { Filings } from './filing.js'
import { Group } from './group.js'
import { cutToSize, mostEventBytes, tooLarge } from './oversize.js'
import { isSignedBy, readRecord } from './record.js'
import { Sealer } from './sealer.js'

export interface AuditWriterOptions {
  credentials: Credentials
  addresses: Addresses
  log: AppendLog
  chain: Chain
  now: () => number
  /** Says, when it is asked in the end, whether this node may still act. */
  fence?: () => () => Promise<void>
  /** Whom its tasks are about; left out: nobody. */
  filings?: Filings
}

const retryMs = 200
/** A batch is one message on the stream. */
const batchRecords = 256
const batchBytes = 256 * 1024

/** A record that is not known to stand on the stream; of an earlier run, nobody waits for it. */
interface Unsent {
  bytes: Uint8Array
  count: number
  group: Group
}

export class AuditWriter {
  readonly #options: AuditWriterOptions
  readonly #producer: string
  readonly #sealer: Sealer
  /** Not sealed yet, oldest first; only the newest still takes events. */
  #gathering: Group[] = []
  #writing: Promise<void> | undefined
  readonly #queue: Unsent[] = []
  /** What was gathered last. */
  #newest: Group | undefined
  #sending = false
  #closed = false
  /** How many records were written, how many of them this disk surely holds, and how many the stream. */
  #written: number
  #synced: number
  #sent: number

  constructor(options: AuditWriterOptions) {
    const { credentials, chain } = options
    const { count, last, unsent } = chain.begun
    if (last) checkLast(last, count - 1, credentials)
    this.#options = options
    this.#producer = credentials.certificate.holder
    this.#sealer = new Sealer(credentials, count, last)
    this.#written = count
    this.#synced = count
    this.#sent = count - unsent.length
    for (const bytes of unsent) this.#queue.push({ bytes, count: readRecord(bytes).count, group: new Group() })
    this.#send()
  }

  /** Events that stand on this disk and are not yet known to stand on the stream. */
  get lag(): number {
    return this.#queue.reduce((sum, { count }) => sum + count, 0)
  }

  async record(event: AuditEvent): Promise<void> {
    await this.#gather(event).onDisk
  }

  async intend(event: AuditEvent): Promise<void> {
    const fence = this.#options.fence?.()
    const group = this.#gather(event, true)
    await group.onDisk
    if (!(await group.intended(failoverMs))) {
      throw new ClawmeshError(
        'AUDIT_UNAVAILABLE',
        'The audit stream did not take the intent, so the action was not done.',
        {
          hint: 'Check that the broker runs and its disk has room, then try again.',
        },
      )
    }
    await fence?.()
  }

  /** Waits until the stream holds everything, or the time is up. */
  async flush(withinMs: number): Promise<boolean> {
    await this.#newest?.onDisk.catch(() => undefined)
    return this.#queue.at(-1)?.group.acknowledgedWithin(withinMs) ?? true
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#writing
    this.#options.filings?.close()
    this.#options.chain.close()
  }

  #gather(event: AuditEvent, isIntent = false): Group {
    const { now } = this.#options
    const time = now()
    let packed = this.#pack(time, event)
    if (packed.length > mostEventBytes) {
      if (isIntent) throw tooLarge(event, packed.length)
      packed = this.#pack(time, cutToSize(event))
    }
    let group = this.#gathering.at(-1)
    if (!group?.hasRoomFor(packed)) {
      group = new Group()
      this.#gathering.push(group)
      this.#newest = group
    }
    group.add(packed)
    this.#writing ??= this.#writeAll()
    return group
  }

  #pack(time: number, event: AuditEvent): Uint8Array {
    return packEvent(time, event, this.#options.filings?.seal(time, event))
  }

  async #writeAll(): Promise<void> {
    // What others have to say in the same breath goes with it.
    await null
    while (this.#gathering.length > 0) {
      const groups = this.#gathering
      this.#gathering = []
      const written = groups.filter((group) => this.#write(group))
      const reached = this.#written
      try {
        await this.#options.chain.sync()
        this.#synced = reached
        for (const group of written) group.synced()
        this.#send()
      } catch (error) {
        for (const group of written) group.failed(error)
      }
    }
    this.#writing = undefined
  }

  #write(group: Group): boolean {
    const { chain, now } = this.#options
    try {
      this.#sealer.seal(group.packed, now(), (bytes) => {
        chain.append(bytes)
        this.#queue.push({ bytes, count: group.packed.length, group })
      })
      this.#written += 1
      return true
    } catch (error) {
      group.failed(error)
      return false
    }
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
        const wire = encode(batch.map(({ bytes }) => bytes))
        const id = this.#idOf(this.#sent, batch.length)
        while (!(await this.#sentOnce(() => log.append(addresses.audit(this.#producer), id, wire)))) {
          if (this.#closed) return
          await new Promise((resolve) => setTimeout(resolve, retryMs))
        }
        if (this.#closed) return
        this.#queue.splice(0, batch.length)
        this.#sent += batch.length
        chain.markSent(this.#sent)
        for (const { group } of batch) group.acknowledged()
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

  /** Nobody else can guess it, so nobody can squat it and have our record taken for a repetition. */
  #idOf(first: number, count: number): string {
    return createHmac('sha256', this.#options.credentials.signing.secretKey)
      .update(`audit ${first} ${count}`)
      .digest('base64url')
  }
}

/** Nobody goes on with a chain that is not their own, or that a damaged record ends. */
function checkLast(bytes: Uint8Array, number: number, { certificate }: Credentials): void {
  const record = readRecord(bytes)
  const { holder, name, publicKey } = certificate
  if (record.producer === holder && record.number === number && isSignedBy(record, publicKey)) return
  throw new ClawmeshError(
    'AUDIT_BROKEN',
    `The audit chain of node "${name}" does not end with record ${number} of its own.`,
    {
      hint: 'Its chain file was changed or is that of another node. Compare it with the stream (`clawmesh audit verify`) and a backup.',
    },
  )
}

function batchOf(queue: Unsent[]): Unsent[] {
  let bytes = 0
  const batch: Unsent[] = []
  for (const unsent of queue) {
    bytes += unsent.bytes.length
    if (batch.length > 0 && bytes > batchBytes) break
    batch.push(unsent)
  }
  return batch
}
