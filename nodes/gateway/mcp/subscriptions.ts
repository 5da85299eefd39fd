/** Which resources one MCP client wants to hear of. Each is followed while it is there, may still be read, and the client is. */
import { ClawmeshError } from '../../../policies/errors.js'
import { log } from '../../log.js'

const most = 64

export class Subscriptions {
  readonly #open = new Map<string, AbortController>()

  /** `tell` is called after each change; once it throws, the subscription is over. Throws RATE_LIMITED. */
  add(uri: string, follow: (signal: AbortSignal) => AsyncIterable<unknown>, tell: () => Promise<void>): void {
    if (this.#open.has(uri)) return
    if (this.#open.size >= most)
      throw new ClawmeshError('RATE_LIMITED', `This client follows ${most} resources already.`, {
        hint: 'End one of them.',
      })
    const stop = new AbortController()
    this.#open.set(uri, stop)
    void this.#follow(uri, stop, follow, tell)
  }

  remove(uri: string): void {
    this.#open.get(uri)?.abort()
    this.#open.delete(uri)
  }

  end(): void {
    for (const uri of [...this.#open.keys()]) this.remove(uri)
  }

  async #follow(
    uri: string,
    stop: AbortController,
    follow: (signal: AbortSignal) => AsyncIterable<unknown>,
    tell: () => Promise<void>,
  ): Promise<void> {
    try {
      for await (const _ of follow(stop.signal)) {
        if (stop.signal.aborted) return
        await tell()
      }
    } catch (error) {
      if (!stop.signal.aborted) log.debug({ err: error, uri }, 'a resource is not followed any more')
    } finally {
      if (this.#open.get(uri) === stop) this.#open.delete(uri)
    }
  }
}
