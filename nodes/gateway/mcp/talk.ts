/**
 * One use that may ask its caller while it runs. In the protocol of 2026 a server makes no requests: the caller is given the question as an answer, and asks the same again with
 * what it says to it. The use itself simply waits meanwhile, and goes on:
 *
 *     const talk = talks.begin({ key, about: 'lend' }, …, (ask) => tool.run(args, { …, elicit: (question) => ask(…) }))
 *     const turn = await talk.next(signal)                  // { done } or { asks, state }
 *     const next = await talks.of(state, { key, about: 'lend' })?.answered(response).next(signal)
 *
 * 1. Whose use it is, and of what, is checked each time: a number that somebody else has heard is worth nothing.
 * 2. One question at a time; whoever asks a second one waits. Each has a number of its own: an answer that comes twice is none to the next question.
 * 3. It ends at its deadline, or when its caller goes, whatever it waits for.
 */
import { randomUUID } from 'node:crypto'
import type { InputRequest } from '@modelcontextprotocol/server'
import { ClawmeshError } from '../../../policies/errors.js'

export type Turn<T> = { readonly done: T } | { readonly asks: InputRequest; readonly state: string }
export type Ask = (request: InputRequest) => Promise<unknown>

export interface Topic {
  /** The name of the caller's key. */
  readonly key: string
  /** What is used. */
  readonly about: string
}

/** Uses that wait for their callers at once. */
const mostOfKey = 32
const idLength = 36

export class Talks {
  readonly #open = new Map<string, Talk<unknown>>()

  /** `withinMs`: for all of it. Throws RATE_LIMITED. */
  begin<T>(
    topic: Topic,
    withinMs: number,
    closing: AbortSignal,
    does: (ask: Ask, signal: AbortSignal) => Promise<T>,
  ): Talk<T> {
    const held = [...this.#open.values()].filter((talk) => talk.topic.key === topic.key).length
    if (held >= mostOfKey)
      throw new ClawmeshError('RATE_LIMITED', `The key ${topic.key} has ${held} uses under way already.`, {
        hint: 'Wait for one of them to end.',
      })
    const talk = new Talk<T>(topic, withinMs, closing, does)
    this.#open.set(talk.id, talk as Talk<unknown>)
    void talk.ended.then(() => this.#open.delete(talk.id))
    return talk
  }

  /** The one that waits for the answer to this question, where it is that key's and of that. */
  of(state: string, { key, about }: Topic): Talk<unknown> | undefined {
    const talk = this.#open.get(state.slice(0, idLength))
    return talk?.asks === state && talk.topic.key === key && talk.topic.about === about ? talk : undefined
  }
}

export class Talk<T> {
  readonly id = randomUUID()
  readonly topic: Topic
  readonly ended: Promise<void>
  readonly #stop = new AbortController()
  /** That, its deadline or the end of the gateway. */
  readonly #until: AbortSignal
  #asked: { request: InputRequest; state: string; resolve: (answer: unknown) => void } | undefined
  #questions = 0
  #last: Promise<unknown> = Promise.resolve()
  #wake: () => void = () => undefined
  #outcome: { done: T } | { failed: unknown } | undefined

  constructor(
    topic: Topic,
    withinMs: number,
    closing: AbortSignal,
    does: (ask: Ask, signal: AbortSignal) => Promise<T>,
  ) {
    this.topic = topic
    const late = setTimeout(
      () => this.end(new ClawmeshError('DEADLINE', `It did not end within ${withinMs} ms.`)),
      withinMs,
    )
    this.#until = AbortSignal.any([closing, this.#stop.signal])
    this.ended = does((request) => this.#ask(request), this.#until)
      .then(
        (done) => ({ done }),
        (failed: unknown) => ({ failed }),
      )
      .then((outcome) => {
        clearTimeout(late)
        this.#outcome = outcome
        this.#wake()
      })
  }

  /** The number of the question that waits for its answer. */
  get asks(): string | undefined {
    return this.#asked?.state
  }

  end(why: unknown): void {
    this.#stop.abort(why)
  }

  /** Until it has ended or asks. While it is waited for here, `signal` ends it. Rejects with what it threw. */
  async next(signal: AbortSignal): Promise<Turn<T>> {
    const gone = () => this.end(signal.reason)
    signal.addEventListener('abort', gone, { once: true })
    if (signal.aborted) gone()
    try {
      while (!this.#outcome && !this.#asked)
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      if (!this.#outcome && this.#asked) return { asks: this.#asked.request, state: this.#asked.state }
      const outcome = this.#outcome as { done: T } | { failed: unknown }
      if ('done' in outcome) return outcome
      throw outcome.failed
    } finally {
      signal.removeEventListener('abort', gone)
    }
  }

  answered(response: unknown): this {
    const asked = this.#asked
    this.#asked = undefined
    asked?.resolve(response)
    return this
  }

  #ask(request: InputRequest): Promise<unknown> {
    const signal = this.#until
    const answer = this.#last.then(
      () =>
        new Promise<unknown>((resolve, reject) => {
          if (signal.aborted) return reject(signal.reason)
          const gone = () => reject(signal.reason)
          signal.addEventListener('abort', gone, { once: true })
          this.#questions += 1
          this.#asked = {
            request,
            state: `${this.id}/${this.#questions}`,
            resolve: (value) => {
              signal.removeEventListener('abort', gone)
              resolve(value)
            },
          }
          this.#wake()
        }),
    )
    this.#last = answer.catch(() => undefined)
    return answer
  }
}
