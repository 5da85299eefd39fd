/** Server-sent events on one answer: begun by the first of them, so that what fails before can still be told by its status. */
import { once } from 'node:events'
import type { FastifyReply } from 'fastify'
import { securityHeaders } from './listener.js'

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
  async send(data: string, id?: string): Promise<void> {
    const { raw } = this.#reply
    this.open()
    const named = id === undefined ? '' : `id: ${id}\n`
    if (!raw.write(`${named}data: ${data}\n\n`)) await once(raw, 'drain', { signal: this.#signal })
  }

  /** Of one that never began, nothing: its answer is another. */
  end(): void {
    if (this.#hasBegun) this.#reply.raw.end()
  }

  /** A comment, so that whoever waits knows that we are there, and we that he is. */
  beat(): void {
    const { raw } = this.#reply
    if (this.#hasBegun && raw.writableLength === 0) raw.write(': \n\n')
  }

  /** Before the first event, where that may be long in coming. */
  open(): void {
    if (this.#hasBegun) return
    this.#hasBegun = true
    const { raw } = this.#reply
    this.#reply.hijack()
    raw.writeHead(200, { ...securityHeaders, 'content-type': 'text/event-stream; charset=utf-8' })
    raw.flushHeaders()
  }
}
