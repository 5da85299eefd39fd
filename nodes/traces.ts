/**
 * Spans of a node to a collector of OpenTelemetry: OTLP over HTTP, as JSON. Best effort, unlike the audit trail: what the collector does not take in time is
 * dropped and counted, and nothing waits for it. Nothing of what agents read, think or write is in a span.
 */
import type { Span, SpanSink } from '../mesh/calls/spans.js'
import { productVersion } from './version.js'

/** Where traces go. */
export interface TraceTarget {
  url: string
  headers: Readonly<Record<string, string>>
  /** `service.name` */
  service: string
}

const usualEveryMs = 2000
const [spansAtOnce, mostSpans] = [512, 4096]
const answerMs = 5000
/** What the end of a node waits for its spans, everything together. */
const lastMs = 1000
/** A pause doubles with each failure up to the first; what a collector asks for counts up to the second. */
const [mostPauseMs, mostAskedMs] = [60_000, 3_600_000]
/** How often a collector that does not answer is spoken of. */
const sayEveryMs = 60_000

/** Undefined where no collector is named: no spans are made then. `say` hears, now and then, that it takes none. */
export const openTraces = (
  target: TraceTarget | undefined,
  node: string,
  say: (text: string) => void = () => undefined,
  everyMs: number = usualEveryMs,
): SpanSink | undefined => target && new Traces(target, { node, say, everyMs })

interface Options {
  node: string
  say: (text: string) => void
  everyMs: number
}

interface Failure {
  reason: string
  /** The same spans may be taken later. */
  retry: boolean
  /** What the collector asks to be left alone for. */
  afterMs: number
}

class Traces implements SpanSink {
  readonly #target: TraceTarget
  readonly #options: Options
  #timer: NodeJS.Timeout | undefined
  #waiting: Span[] = []
  #dropped = 0
  #saidAt = Number.NEGATIVE_INFINITY
  #sending: Promise<void> | undefined
  /** Since the collector last took or refused something. */
  #failures = 0
  #isClosing = false
  #isLate = false
  /** Ends the request on its way. */
  #giveUp: () => void = () => undefined

  constructor(target: TraceTarget, options: Options) {
    this.#target = target
    this.#options = options
    this.#sendIn(options.everyMs)
  }

  /** A collector that took nothing last is not asked before its time, however many spans come. */
  take(span: Span): void {
    if (this.#waiting.length < mostSpans) this.#waiting.push(span)
    else this.#dropped += 1
    if (this.#waiting.length >= spansAtOnce && this.#failures === 0) void this.#send()
  }

  /** What waits is tried once more, for as long as the end of a node may wait. */
  async close(): Promise<void> {
    this.#isClosing = true
    clearTimeout(this.#timer)
    const end = setTimeout(() => {
      this.#isLate = true
      this.#giveUp()
    }, lastMs)
    await this.#sending
    await this.#send()
    clearTimeout(end)
  }

  /** One request at a time. A collector that is away, or that says so, is asked again with the same spans; what it refuses is dropped. */
  #send(): Promise<void> {
    this.#sending ??= this.#post().then((pauseMs) => {
      this.#sending = undefined
      this.#sendIn(pauseMs)
    })
    return this.#sending
  }

  #sendIn(ms: number): void {
    clearTimeout(this.#timer)
    if (!this.#isClosing) this.#timer = setTimeout(() => void this.#send(), ms).unref()
  }

  /** Resolves to the milliseconds until the next time. */
  async #post(): Promise<number> {
    const { everyMs } = this.#options
    while (this.#waiting.length > 0 && !this.#isLate) {
      const batch = this.#waiting.slice(0, spansAtOnce)
      const failure = await this.#offer(batch)
      if (failure) this.#tell(failure.reason)
      if (failure?.retry) {
        const pauseMs = Math.min(everyMs * 2 ** this.#failures, mostPauseMs)
        this.#failures += 1
        return Math.max(pauseMs, failure.afterMs)
      }
      this.#failures = 0
      this.#waiting.splice(0, batch.length)
      if (failure) this.#dropped += batch.length
    }
    return everyMs
  }

  async #offer(batch: readonly Span[]): Promise<Failure | undefined> {
    const { url, headers } = this.#target
    const request = new AbortController()
    this.#giveUp = () => request.abort(new Error('no answer in time'))
    const late = setTimeout(this.#giveUp, answerMs).unref()
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(this.#body(batch)),
        signal: request.signal,
        redirect: 'error',
      })
      await response.body?.cancel()
      if (response.ok) return undefined
      const afterMs = askedMs(response.headers.get('retry-after'), Date.now())
      return { reason: `HTTP ${response.status}`, retry: mayComeBack.has(response.status), afterMs }
    } catch (thrown) {
      const error = thrown as Error
      return { reason: error.cause instanceof Error ? error.cause.message : error.message, retry: true, afterMs: 0 }
    } finally {
      clearTimeout(late)
    }
  }

  #tell(reason: string): void {
    const now = performance.now()
    if (now - this.#saidAt < sayEveryMs) return
    this.#saidAt = now
    this.#options.say(`the collector of traces takes none: ${reason}; ${this.#dropped} spans are dropped so far`)
  }

  #body(spans: readonly Span[]) {
    const resource = {
      'service.name': this.#target.service,
      'service.version': productVersion,
      'service.instance.id': this.#options.node,
    }
    const scope = { name: 'clawmesh', version: productVersion }
    return {
      resourceSpans: [
        { resource: { attributes: attributesOf(resource) }, scopeSpans: [{ scope, spans: spans.map(otlpOf) }] },
      ],
    }
  }
}

/** What OTLP has a client try again. */
const mayComeBack = new Set([429, 502, 503, 504])

/** Of `Retry-After`, which is a number of seconds or a date; 0 for anything else. */
function askedMs(header: string | null, now: number): number {
  if (header === null) return 0
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now
  return ms > 0 ? Math.min(ms, mostAskedMs) : 0
}

const kinds = { internal: 1, server: 2, client: 3 } as const

/** A span in the JSON form of OTLP, where 64-bit numbers are text. */
function otlpOf({ trace, id, parent, kind, name, actor, from, start, end, error }: Span) {
  const facts = { 'clawmesh.actor': actor, 'clawmesh.from': from, 'error.type': error }
  return {
    traceId: trace,
    spanId: id,
    ...(parent === undefined ? {} : { parentSpanId: parent }),
    name,
    kind: kinds[kind],
    startTimeUnixNano: nanoseconds(start),
    endTimeUnixNano: nanoseconds(end),
    attributes: attributesOf(facts),
    status: error === undefined ? {} : { code: 2, message: error },
  }
}

const nanoseconds = (ms: number) => String(BigInt(Math.round(ms * 1000)) * 1000n)

const attributesOf = (facts: Record<string, string | undefined>) =>
  Object.entries(facts).flatMap(([key, value]) => (value === undefined ? [] : [{ key, value: { stringValue: value } }]))
