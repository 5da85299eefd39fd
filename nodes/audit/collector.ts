/**
 * Sends events to a collector in the form of Splunk's HTTP Event Collector. At least once: how far it got is written down after the collector has
 * acknowledged, so a crash in between sends some events again, under the same `fields.id` (the hash of its record, and its place there).
 */
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import type { TrailReader } from '../../mesh/audit/reader.js'
import { writeWhole } from '../../mesh/disk.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { Format } from './format.js'
import { openingSchema, type Place } from './opening.js'
import { eventId, strictReader, type TrailEvent } from './read.js'

export interface CollectorOptions {
  url: URL
  token: string | undefined
  format: Format
  mesh: string
  rootKey: Uint8Array
  /** Where it is written down how far the collector has acknowledged. */
  stateFile: string
  /** Where one begins that has acknowledged nothing yet; left out: with the first event of the trail. */
  from?: Place | undefined
  /** Breaks off waiting for a collector that does not answer. */
  signal: AbortSignal
  /** How long a collector may fail before it is given up; left out: for ever. */
  giveUpMs?: number
  /** The pause after a first failure, in milliseconds; it doubles with each that follows, up to half a minute. */
  firstPauseMs?: number
  onRetry?: (reason: string, inMs: number) => void
}

const answerWithinMs = 30_000
const longestPauseMs = 30_000
/** Splunk takes up to 1 MB by default. */
const batchBytes = 512 * 1024

export class Collector {
  readonly reader: TrailReader
  readonly throwIfFaulty: () => void
  readonly #options: CollectorOptions
  #after: number

  constructor(options: CollectorOptions) {
    this.#options = options
    const { reader, throwIfFaulty } = strictReader(options.rootKey)
    this.reader = reader
    this.throwIfFaulty = throwIfFaulty
    const state = readState(options.stateFile)
    if (state && state.mesh !== options.mesh) {
      throw new ClawmeshError('USAGE', `${options.stateFile} belongs to another mesh, ${state.mesh}.`, {
        hint: 'Choose another file with --state.',
      })
    }
    const begun = state ?? options.from
    reader.resume(begun?.heads ?? [])
    this.#after = begun?.after ?? 0
  }

  get after(): number {
    return this.#after
  }

  /** Resolves when the collector has acknowledged all of them and that is written down. */
  async append(events: TrailEvent[]): Promise<void> {
    const { mesh, stateFile } = this.#options
    for (const body of this.#bodies(events)) await this.#deliver(body)
    this.#after = events.at(-1)?.sequence ?? this.#after
    writeWhole(stateFile, JSON.stringify({ mesh, after: this.#after, heads: this.reader.state() }))
  }

  close(): void {
    // Nothing is held between two calls.
  }

  *#bodies(events: TrailEvent[]): Generator<string> {
    let body = ''
    for (const event of events) {
      const line = JSON.stringify({
        time: event.open().time / 1000,
        host: event.node,
        source: 'clawmesh',
        sourcetype: `clawmesh:${this.#options.format.name}`,
        event: this.#options.format.event(event),
        fields: { id: eventId(event) },
      })
      if (body !== '' && body.length + line.length > batchBytes) {
        yield body
        body = ''
      }
      body += line
    }
    if (body !== '') yield body
  }

  async #deliver(body: string): Promise<void> {
    const { signal, giveUpMs = Number.POSITIVE_INFINITY, firstPauseMs = 200, onRetry } = this.#options
    const until = performance.now() + giveUpMs
    for (let pause = firstPauseMs; ; pause = Math.min(pause * 2, longestPauseMs)) {
      const reason = await this.#post(body)
      if (reason === undefined) return
      signal.throwIfAborted()
      if (performance.now() > until) {
        throw new ClawmeshError(
          'UNREACHABLE',
          `The collector at ${this.#options.url.origin} does not take events: ${reason}.`,
          {
            hint: 'Start again when it does: nothing is lost.',
          },
        )
      }
      // Spread, so that many consumers do not come back in step.
      const wait = Math.round(pause * (0.5 + Math.random() / 2))
      onRetry?.(reason, wait)
      await setTimeout(wait, undefined, { signal }).catch(() => undefined)
      signal.throwIfAborted()
    }
  }

  /** In words why it was not taken this time; undefined if it was. Throws what trying again would not mend. */
  async #post(body: string): Promise<string | undefined> {
    const { url, token, signal } = this.#options
    const headers = {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Splunk ${token}` }),
    }
    let status: number
    try {
      const timely = AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)])
      const response = await fetch(url, { method: 'POST', headers, body, signal: timely, redirect: 'error' })
      status = response.status
      await response.arrayBuffer()
    } catch (error) {
      return reasonOf(error)
    }
    if (status >= 200 && status < 300) return undefined
    if (status === 408 || status === 429 || status >= 500) return `status ${status}`
    throw new ClawmeshError('DENIED', `The collector at ${url.origin} refused the events with status ${status}.`, {
      hint:
        status === 401 || status === 403
          ? 'Check the token (--token-file).'
          : 'Check the address: its path is usually /services/collector/event.',
    })
  }
}

function readState(file: string) {
  if (!existsSync(file)) return undefined
  try {
    return openingSchema.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (cause) {
    throw new ClawmeshError('AUDIT_BROKEN', `${file} does not say how far a collector got.`, {
      hint: 'Remove it to send all events again, or choose another file with --state.',
      cause,
    })
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message || error.cause.name : error.message
}
