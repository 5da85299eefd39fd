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

const everyMs = 2000
const [spansAtOnce, mostSpans] = [512, 4096]
const answerMs = 5000
const lastAnswerMs = 1000
/** How often a collector that does not answer is spoken of. */
const sayEveryMs = 60_000

/** Undefined where no collector is named: no spans are made then. `say` hears, now and then, that it takes none. */
export const openTraces = (
  target: TraceTarget | undefined,
  node: string,
  say: (text: string) => void = () => undefined,
): SpanSink | undefined => target && new Traces(target, node, say)

class Traces implements SpanSink {
  readonly #target: TraceTarget
  readonly #node: string
  readonly #say: (text: string) => void
  readonly #timer: NodeJS.Timeout
  #waiting: Span[] = []
  #dropped = 0
  #saidAt = Number.NEGATIVE_INFINITY
  #sending: Promise<void> | undefined

  constructor(target: TraceTarget, node: string, say: (text: string) => void) {
    this.#target = target
    this.#node = node
    this.#say = say
    this.#timer = setInterval(() => void this.#send(answerMs), everyMs)
    this.#timer.unref()
  }

  take(span: Span): void {
    if (this.#waiting.length < mostSpans) this.#waiting.push(span)
    else this.#dropped += 1
    if (this.#waiting.length >= spansAtOnce) void this.#send(answerMs)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#sending
    await this.#send(lastAnswerMs)
  }

  /** One request at a time. A collector that is away, or that says so, is asked again with the same spans; what it refuses is dropped. */
  #send(withinMs: number): Promise<void> {
    this.#sending ??= this.#post(withinMs).finally(() => {
      this.#sending = undefined
    })
    return this.#sending
  }

  async #post(withinMs: number): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, spansAtOnce)
      const { url, headers } = this.#target
      const failure = await fetch(url, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: JSON.stringify(this.#body(batch)),
        signal: AbortSignal.timeout(withinMs),
        redirect: 'error',
      }).then(
        async (response) => {
          await response.body?.cancel()
          return response.ok
            ? undefined
            : { reason: `HTTP ${response.status}`, retry: mayComeBack.has(response.status) }
        },
        (error: Error) => ({ reason: error.cause instanceof Error ? error.cause.message : error.message, retry: true }),
      )
      if (failure) this.#tell(failure.reason)
      if (failure?.retry) return
      this.#waiting.splice(0, batch.length)
      if (failure) this.#dropped += batch.length
    }
  }

  #tell(reason: string): void {
    const now = performance.now()
    if (now - this.#saidAt < sayEveryMs) return
    this.#saidAt = now
    this.#say(`the collector of traces takes none: ${reason}; ${this.#dropped} spans are dropped so far`)
  }

  #body(spans: readonly Span[]) {
    const resource = {
      'service.name': this.#target.service,
      'service.version': productVersion,
      'service.instance.id': this.#node,
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
