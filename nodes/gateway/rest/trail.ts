/** The audit trail as the gateway shows it: read once, verified as it is read, followed from then on. The newest events stay in memory; each is opened when it is looked at. */
import { setTimeout } from 'node:timers/promises'
import type { Authority } from '../../../mesh/seal/authority.js'
import type { AppendLog } from '../../../mesh/transport/transport.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { plainEvent } from '../../audit/format.js'
import { readTrail, strictReader, type TrailEvent } from '../../audit/read.js'
import type { SeenEvent } from './schema.js'

export interface TrailSource {
  log: AppendLog
  authority: Authority
}

export interface AuditFilter {
  kind?: string | undefined
  trace?: string | undefined
  node?: string | undefined
  /** Milliseconds since 1970. */
  from?: number
  until?: number
}

interface Held {
  id: string
  event: TrailEvent
  opened?: SeenEvent
}

const most = 20_000
const againMs = 500

export class Trail {
  readonly #source: TrailSource
  readonly #signal: AbortSignal
  readonly #waiting = new Set<() => void>()
  #events: Held[] = []
  /** How many were let go of. */
  #forgotten = 0
  #sequence = 0
  #failure: ClawmeshError | undefined
  #reading: Promise<void> | undefined

  /** Nothing is read before somebody asks. */
  constructor(source: TrailSource, signal: AbortSignal) {
    this.#source = source
    this.#signal = signal
    signal.addEventListener('abort', () => this.#wake())
  }

  /** The newest that match, oldest first, of all that stood on the stream at the call. */
  async query(
    filter: AuditFilter,
    limit: number,
  ): Promise<{ events: SeenEvent[]; more: boolean; since: string | null }> {
    await this.#reach(await this.#source.log.last())
    const found: SeenEvent[] = []
    for (const held of this.#events.toReversed()) {
      if (!matches(held, filter)) continue
      if (found.length === limit) return { events: found.toReversed(), more: true, since: this.#since }
      found.push(opened(held))
    }
    return { events: found.toReversed(), more: false, since: this.#since }
  }

  /** Those after an id (undefined: after all that are there now), until the signal. Throws NOT_FOUND for an id that is not in memory. */
  async *follow(after: string | undefined, filter: AuditFilter, signal: AbortSignal): AsyncGenerator<SeenEvent> {
    await this.#reach(await this.#source.log.last())
    let next = this.#forgotten + this.#events.length
    if (after !== undefined) {
      const at = this.#events.findIndex(({ id }) => id === after)
      if (at < 0)
        throw new ClawmeshError('NOT_FOUND', `There is no audit event ${after} any more.`, {
          hint: 'Query the trail, and follow it from now.',
        })
      next = this.#forgotten + at + 1
    }
    while (!signal.aborted && !this.#signal.aborted) {
      this.#throwIfFailed()
      const held = this.#events[Math.max(0, next - this.#forgotten)]
      if (!held) {
        await this.#woken(signal)
        continue
      }
      next = Math.max(next, this.#forgotten) + 1
      if (matches(held, filter)) yield opened(held)
    }
  }

  get #since(): string | null {
    const [first] = this.#events
    return this.#forgotten > 0 && first ? new Date(first.event.record.time).toISOString() : null
  }

  async #reach(sequence: number): Promise<void> {
    this.#reading ??= this.#read()
    while (this.#sequence < sequence && !this.#signal.aborted) {
      this.#throwIfFailed()
      await this.#woken(this.#signal)
    }
    this.#throwIfFailed()
  }

  /** Over the broker's restarts; a trail that is broken stays so. */
  async #read(): Promise<void> {
    const { log, authority } = this.#source
    const { reader, throwIfFaulty } = strictReader(authority.root.publicKey)
    while (!this.#signal.aborted) {
      try {
        const options = { log, authority, reader, throwIfFaulty, after: this.#sequence, follow: this.#signal }
        for await (const events of readTrail(options)) this.#take(events)
      } catch (error) {
        const failure = ClawmeshError.from(error)
        if (!failure.retry && !this.#signal.aborted) {
          this.#failure = failure
          return this.#wake()
        }
      }
      await setTimeout(againMs, undefined, { signal: this.#signal, ref: false }).catch(() => undefined)
    }
  }

  #take(events: TrailEvent[]): void {
    for (const [index, event] of events.entries()) this.#events.push({ id: `${event.sequence}.${index}`, event })
    this.#sequence = events.at(-1)?.sequence ?? this.#sequence
    // A quarter at a time, since an array is copied for it.
    if (this.#events.length > most * 1.25) {
      this.#forgotten += this.#events.length - most
      this.#events = this.#events.slice(-most)
    }
    this.#wake()
  }

  #throwIfFailed(): void {
    if (this.#failure) throw this.#failure
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  #woken(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#waiting.add(done)
      signal.addEventListener('abort', done, { once: true })
      if (signal.aborted) done()
    })
  }
}

function matches(held: Held, { kind, trace, node, from = 0, until = Number.POSITIVE_INFINITY }: AuditFilter): boolean {
  const { event } = held
  const { time } = event.record
  if (time < from || time > until || (node !== undefined && event.node !== node)) return false
  if (kind === undefined && trace === undefined) return true
  const seen = opened(held)
  const isKind = kind === undefined || seen.kind === kind || seen.kind.startsWith(`${kind}.`)
  return isKind && (trace === undefined || seen.trace === trace)
}

/** What is about a person is asked for each time: it may have been erased since. */
function opened(held: Held): SeenEvent {
  if (held.opened) return held.opened
  const { sequence: _, ...event } = plainEvent(held.event)
  const seen = { id: held.id, ...event } as SeenEvent
  if (seen.subject === undefined) held.opened = seen
  return seen
}
