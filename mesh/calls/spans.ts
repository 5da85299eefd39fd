/**
 * Spans as OpenTelemetry has them: who asked which actor for what, from when to when, and how it ended. Never what was said. A node that has nobody to give
 * them to makes none.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash, randomBytes } from 'node:crypto'
import { ClawmeshError, type ErrorCode } from '../../policies/errors.js'
import type { CallOptions, MailOptions } from '../actor/actor.js'
import type { Message, StreamMessage } from '../actor/message.js'
import type { Caller } from '../actor/ref.js'

export interface Span {
  /** 32 hex digits. What is done for a task has that of its id: without hyphens if it is a UUID, else the beginning of its SHA-256. */
  trace: string
  /** 16 hex digits. */
  id: string
  parent: string | undefined
  /** `client`: a call until its answer. `server`: a message from its arrival until it was answered. `internal`: a piece of work. */
  kind: 'client' | 'server' | 'internal'
  /** The message, or what the work is called. */
  name: string
  /** Who is asked, or does it. */
  actor: string
  /** Of a message: the node that it came from. */
  from: string | undefined
  /** Milliseconds since 1970, by this machine's clock, with fractions. */
  start: number
  end: number
  /** Undefined: it went well. */
  error: ErrorCode | undefined
}

/** Where a node's spans go. It must not throw, nor keep anybody waiting. */
export interface SpanSink {
  take(span: Span): void
  /** Called once, when the node has left. */
  close(): Promise<void>
}

export interface Begun {
  kind: Span['kind']
  name: string
  actor: string
  from?: string
  /** The task that it is done for; the empty string: none. */
  task: string
  /** Of a message: what its sender wrote of its own span. */
  wire?: unknown
}

type Place = Pick<Span, 'trace' | 'id'>

/** The spans of one node. What is begun while another span is at work is a part of it, however many functions lie between. */
export class Spans {
  readonly #sink: SpanSink
  readonly #within = new AsyncLocalStorage<OpenSpan>()

  constructor(sink: SpanSink) {
    this.#sink = sink
  }

  begin({ kind, name, actor, from, task, wire }: Begun): OpenSpan {
    const above = placeIn(wire) ?? this.#at?.place
    const trace = task === '' ? (above?.trace ?? randomBytes(16).toString('hex')) : traceOf(task)
    const parent = above?.trace === trace ? above.id : undefined
    return new OpenSpan({ trace, id: randomBytes(8).toString('hex'), parent, kind, name, actor, from }, this.#sink)
  }

  /** Of the span at work, as it goes with a message: `traceparent` of the W3C. */
  get wire(): string | undefined {
    const place = this.#at?.place
    return place && `00-${place.trace}-${place.id}-01`
  }

  /** What an actor goes on with after its answer (a timer, a loop) is no part of it any more. */
  get #at(): OpenSpan | undefined {
    const span = this.#within.getStore()
    return span?.hasEnded ? undefined : span
  }

  /** What `work` begins, now or later, is a part of the span. */
  within<T>(span: OpenSpan, work: () => T): T {
    return this.#within.run(span, work)
  }

  /** A piece of work from its begin to its end. */
  async of<T>(begun: Begun, work: () => Promise<T>): Promise<T> {
    const span = this.begin(begun)
    try {
      return await this.within(span, work)
    } catch (error) {
      span.error = ClawmeshError.from(error).code
      throw error
    } finally {
      span.end()
    }
  }
}

/** A node's calls, each of them a span. */
export class SpannedCalls implements Caller {
  readonly #calls: Caller
  readonly #spans: Spans

  constructor(calls: Caller, spans: Spans) {
    this.#calls = calls
    this.#spans = spans
  }

  ask(target: string, message: Message, request: unknown, options: CallOptions): Promise<unknown> {
    return this.#spans.of(call(target, message, options), () => this.#calls.ask(target, message, request, options))
  }

  mail(target: string, message: Message, request: unknown, options: MailOptions): Promise<void> {
    return this.#spans.of(call(target, message, options), () => this.#calls.mail(target, message, request, options))
  }

  tell(target: string, message: Message, request: unknown, options: CallOptions): Promise<void> {
    return this.#spans.of(call(target, message, options), () => this.#calls.tell(target, message, request, options))
  }

  async *stream(
    target: string,
    message: StreamMessage,
    request: unknown,
    options: CallOptions,
  ): AsyncIterable<unknown> {
    const span = this.#spans.begin(call(target, message, options))
    const items = this.#calls.stream(target, message, request, options)[Symbol.asyncIterator]()
    try {
      for (;;) {
        const { done, value } = await this.#spans.within(span, () => items.next())
        if (done) return
        yield value
      }
    } catch (error) {
      span.error = ClawmeshError.from(error).code
      throw error
    } finally {
      await items.return?.()
      span.end()
    }
  }
}

const call = (actor: string, { name }: Message | StreamMessage, { trace = '' }: CallOptions): Begun => ({
  kind: 'client',
  name,
  actor,
  task: trace,
})

export class OpenSpan {
  readonly #span: Omit<Span, 'end' | 'error'>
  readonly #sink: SpanSink
  error: ErrorCode | undefined
  hasEnded = false

  constructor(span: Omit<Span, 'start' | 'end' | 'error'>, sink: SpanSink) {
    this.#span = { ...span, start: wallClock() }
    this.#sink = sink
  }

  get place(): Place {
    return this.#span
  }

  /** The first end counts. */
  end(): void {
    if (this.hasEnded) return
    this.hasEnded = true
    this.#sink.take({ ...this.#span, end: wallClock(), error: this.error })
  }
}

const wallClock = () => performance.timeOrigin + performance.now()

/** Of a task, the same on every node. */
export function traceOf(task: string): string {
  const digits = task.replaceAll('-', '').toLowerCase()
  return /^(?!0{32})[0-9a-f]{32}$/.test(digits) ? digits : createHash('sha256').update(task).digest('hex').slice(0, 32)
}

/** What another node wrote is taken only as it must be; it says nothing but where a span belongs. */
function placeIn(wire: unknown): Place | undefined {
  const read = typeof wire === 'string' && /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}$/.exec(wire)
  const [, trace = '', id = ''] = read || []
  return trace === '' ? undefined : { trace, id }
}
