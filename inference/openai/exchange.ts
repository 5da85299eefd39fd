import { ClawmeshError } from '../../policies/errors.js'
import { cancelled } from '../backend.js'
import { refusal } from './refusal.js'
import { malformed } from './sse.js'
import { errorSchema, excerpt } from './wire.js'

/** How long a server may take, in milliseconds. */
export interface Deadlines {
  /** Until the headers are there, and from one piece of the body to the next. */
  silence: number
  /** For the whole answer. */
  total: number
}

/** One HTTP exchange under deadlines, torn down when its answer was read, when it broke, or when the caller cancels. */
export class Exchange {
  private readonly controller = new AbortController()
  private readonly deadlines: Deadlines
  private readonly url: string
  private readonly signal: AbortSignal | undefined
  private readonly total: NodeJS.Timeout
  private silence: NodeJS.Timeout | undefined
  /** Rejects when there is nothing more to wait for. */
  private readonly torn: Promise<never>
  private readonly cancel = (): void => this.controller.abort(cancelled())

  constructor(url: string, deadlines: Deadlines, signal?: AbortSignal) {
    this.url = url
    this.deadlines = deadlines
    this.signal = signal
    this.torn = new Promise((_, reject) => {
      this.controller.signal.addEventListener('abort', () => reject(this.controller.signal.reason), { once: true })
    })
    this.torn.catch(() => undefined)
    if (signal?.aborted) this.cancel()
    signal?.addEventListener('abort', this.cancel)
    this.total = setTimeout(() => this.controller.abort(this.late('did not finish', deadlines.total)), deadlines.total)
  }

  /** Sends the request. Throws DEADLINE, CANCELLED, and what a refusing or absent server means. */
  async open(
    init: Pick<RequestInit, 'method' | 'body'> & { headers?: Readonly<Record<string, string>> },
  ): Promise<Response> {
    // A connection that was used before may be one that the server is about to close (llama.cpp does); a new one costs nothing on this machine.
    const headers = { ...init.headers, connection: 'close' }
    // A redirect could lead a prompt off this machine.
    const response = await this.timed(() =>
      fetch(this.url, { ...init, headers, redirect: 'error', signal: this.controller.signal }),
    )
    if (!response.ok) throw refusal(response.status, await this.excerpt(response))
    return response
  }

  async *body(response: Response): AsyncIterable<Uint8Array> {
    const reader = response.body?.getReader()
    try {
      for (;;) {
        const piece = reader && (await this.timed(() => reader.read()))
        if (!piece || piece.done) return
        yield piece.value
      }
    } finally {
      // fetch holds its own end of our signal weakly: collected, it would never hear of an abort.
      reader?.cancel().catch(() => undefined)
    }
  }

  /** The whole body. Throws MODEL_FAILED for one of more bytes than that. */
  async text(response: Response, most: number): Promise<string> {
    const pieces: Uint8Array[] = []
    let size = 0
    for await (const piece of this.body(response)) {
      size += piece.length
      if (size > most) throw malformed(`it is longer than ${most} bytes`)
      pieces.push(piece)
    }
    return Buffer.concat(pieces).toString('utf8')
  }

  /** Closes the connection; nothing of the exchange goes on behind it. */
  close(): void {
    clearTimeout(this.total)
    this.signal?.removeEventListener('abort', this.cancel)
    this.controller.abort()
  }

  private async timed<T>(wait: () => Promise<T>): Promise<T> {
    const { silence } = this.deadlines
    this.silence = setTimeout(() => this.controller.abort(this.late('said nothing', silence)), silence)
    try {
      return await Promise.race([wait(), this.torn])
    } catch (thrown) {
      const { reason } = this.controller.signal
      if (reason instanceof ClawmeshError) throw reason
      throw new ClawmeshError(
        'MODEL_FAILED',
        `The connection to the model server ${this.host} failed: ${causeOf(thrown)}.`,
        {
          hint: 'Check that the server is running, and ask again.',
          data: { away: true },
          cause: thrown,
        },
      )
    } finally {
      clearTimeout(this.silence)
    }
  }

  private get host(): string {
    return new URL(this.url).host
  }

  private late(what: string, ms: number): ClawmeshError {
    return new ClawmeshError('DEADLINE', `The model server ${this.host} ${what} for ${ms} ms.`, {
      hint: 'It may be loading the model or be overloaded: look at it, and ask again.',
    })
  }

  private async excerpt(response: Response): Promise<string> {
    const pieces: Uint8Array[] = []
    let size = 0
    for await (const piece of this.body(response)) {
      pieces.push(piece)
      size += piece.length
      if (size > 16_384) break
    }
    const text = Buffer.concat(pieces).toString('utf8')
    try {
      return errorSchema.parse(JSON.parse(text)).message
    } catch {
      return excerpt(text)
    }
  }
}

/** fetch hides what went wrong in the cause of its error. */
function causeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const { cause } = thrown
  if (!(cause instanceof Error)) return thrown.message
  return cause.message || ('code' in cause ? String(cause.code) : cause.name)
}
