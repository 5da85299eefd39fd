/** Server-sent events on one answer: begun by the first of them, so that what fails before can still be told by its status. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'

export class EventStream {
  readonly #reply: FastifyReply
  readonly #signal: AbortSignal
  #hasBegun = false

  /** `signal` is aborted when the client is gone. */
  constructor(reply: FastifyReply, signal: AbortSignal) {
    this.#reply = reply
    this.#signal = signal
  }

  get hasBegun(): boolean {
    return this.#hasBegun
  }

  /** Resolves when there is room for the next: a client that reads slowly slows the model down, and fills no memory. */
  async send(data: string): Promise<void> {
    const { raw } = this.#reply
    this.#begin(raw)
    if (!raw.write(`data: ${data}\n\n`)) await once(raw, 'drain', { signal: this.#signal })
  }

  /** Of one that never began, nothing: its answer is another. */
  end(): void {
    if (this.#hasBegun) this.#reply.raw.end()
  }

  #begin(raw: ServerResponse): void {
    if (this.#hasBegun) return
    this.#hasBegun = true
    this.#reply.hijack()
    raw.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' })
  }
}
