/**
 * Sessions of MCP clients that speak the protocol of 2025: what a client can be asked and told of belongs to one.
 *
 * 1. A session is of the key that began it, with the role that the key had. For anybody else there is none of that number.
 * 2. They are bounded, of one key and in all. One that nobody has used for long ends; where there is no room, the one that was not used for longest does.
 * 3. With the session end its subscriptions, and what it was asked in the middle of something.
 */
import { randomUUID } from 'node:crypto'
import { type Server, WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Principal } from '../http/keys.js'

const mostOfKey = 32
const mostInAll = 512
const idleMs = 30 * 60_000
const lookMs = 60_000

interface Session {
  readonly owner: Principal
  readonly transport: WebStandardStreamableHTTPServerTransport
  readonly server: Server
  /** Answers that are under way, its stream of notices included. */
  open: number
  usedAt: number
}

export class Sessions {
  readonly #open = new Map<string, Session>()
  readonly #timer: NodeJS.Timeout

  constructor(closing: AbortSignal) {
    this.#timer = setInterval(() => this.#endIdle(), lookMs).unref()
    closing.addEventListener('abort', () => this.#close(), { once: true })
  }

  get size(): number {
    return this.#open.size
  }

  /** Answers the request that begins one. `made`: the server of it. Throws RATE_LIMITED. */
  async begin(owner: Principal, made: Server, request: Request, parsedBody: unknown): Promise<Response> {
    this.#makeRoom(owner)
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => {
        this.#open.set(id, { owner, transport, server: made, open: 0, usedAt: performance.now() })
      },
      onsessionclosed: (id) => this.#end(id),
    })
    await made.connect(transport)
    const answer = await transport.handleRequest(request, { parsedBody })
    if (transport.sessionId === undefined || !this.#open.has(transport.sessionId)) await made.close()
    return answer
  }

  /** A request of a session, or undefined where that caller has none of that number. `whenDone` is told when its answer is over. */
  answer(
    id: string,
    { name, role }: Principal,
    whenDone: (done: () => void) => void,
  ): ((request: Request, parsedBody: unknown) => Promise<Response>) | undefined {
    const session = this.#open.get(id)
    if (session?.owner.name !== name || session.owner.role !== role) return undefined
    session.usedAt = performance.now()
    session.open += 1
    whenDone(() => {
      session.open -= 1
      session.usedAt = performance.now()
    })
    return (request, parsedBody) => session.transport.handleRequest(request, { parsedBody })
  }

  #makeRoom({ name }: Principal): void {
    const mine = [...this.#open].filter(([, { owner }]) => owner.name === name)
    if (mine.length >= mostOfKey) this.#endOldest(mine)
    if (this.#open.size >= mostInAll) this.#endOldest([...this.#open])
  }

  #endOldest(among: [string, Session][]): void {
    const [oldest] = among.filter(([, { open }]) => open === 0).sort(([, one], [, other]) => one.usedAt - other.usedAt)
    if (oldest) return this.#end(oldest[0])
    throw new ClawmeshError('RATE_LIMITED', `There are ${among.length} MCP sessions already, and all are in use.`, {
      hint: 'End one of them.',
    })
  }

  #endIdle(): void {
    const before = performance.now() - idleMs
    for (const [id, { open, usedAt }] of [...this.#open]) if (open === 0 && usedAt < before) this.#end(id)
  }

  #end(id: string): void {
    const session = this.#open.get(id)
    this.#open.delete(id)
    void session?.server.close().catch(() => undefined)
  }

  #close(): void {
    clearInterval(this.#timer)
    for (const id of [...this.#open.keys()]) this.#end(id)
  }
}
