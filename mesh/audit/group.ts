/** Events that become one record, and what those are told who wait for it. */
import { mostEvents } from './record.js'

/** A record must fit into a message of the stream. */
const mostBytes = 128 * 1024

export class Group {
  /** Resolves when the record is on this disk; rejects if it cannot be put there. */
  readonly onDisk: Promise<void>
  readonly synced: () => void
  readonly failed: (error: unknown) => void
  /** The stream holds the record. */
  readonly acknowledged: () => void
  readonly #onStream: Promise<void>
  readonly #packed: Uint8Array[] = []
  #bytes = 0
  #intended: Promise<boolean> | undefined

  constructor() {
    const disk = signal()
    const stream = signal()
    this.onDisk = disk.promise
    this.synced = disk.resolve
    this.failed = disk.reject
    this.#onStream = stream.promise
    this.acknowledged = stream.resolve
  }

  get packed(): readonly Uint8Array[] {
    return this.#packed
  }

  hasRoomFor(packed: Uint8Array): boolean {
    return this.#packed.length < mostEvents && this.#bytes + packed.length <= mostBytes
  }

  add(packed: Uint8Array): void {
    this.#packed.push(packed)
    this.#bytes += packed.length
  }

  /** For those who begin to wait when it is on this disk: one clock for all of them. */
  intended(withinMs: number): Promise<boolean> {
    this.#intended ??= this.acknowledgedWithin(withinMs)
    return this.#intended
  }

  acknowledgedWithin(withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, withinMs, false)
      void this.#onStream.then(() => {
        clearTimeout(timer)
        resolve(true)
      })
    })
  }
}

function signal() {
  let resolve = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<void>((settle, fail) => {
    resolve = settle
    reject = fail
  })
  return { promise, resolve, reject }
}
