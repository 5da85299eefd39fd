/**
 * What one node has heard in a room, in the order in which it heard it: kept for its readers as long as the room lasts, up to a bound. A reader goes through it
 * at its own pace, and is told if it falls behind what is kept.
 */
import type { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'

export interface Post<V = unknown> {
  /** The certified name of the node that says it. */
  readonly node: string
  /** Of the list of members that it was said to. */
  readonly epoch: number
  readonly value: V
}

/** Posts that were sent and cannot be had any more. */
export interface Lost {
  readonly node: string
  /** Batches of posts that were written in one turn of its event loop. */
  readonly batches: number
}

export interface SubscribeOptions {
  /** Ends the subscription. */
  signal?: AbortSignal
  /** Told of posts that are lost; without it they end the subscription. */
  onLost?: (lost: Lost) => void
}

const mostKept = 4096
const mostKeptBytes = 16 * 1024 * 1024

type Entry = { readonly post: Post; readonly bytes: number } | { readonly lost: Lost; readonly bytes: 0 }

export class History {
  readonly #room: string
  readonly #entries: Entry[] = []
  #bytes = 0
  /** Entries that are not kept any more. */
  #forgotten = 0
  readonly #readers = new Set<() => void>()
  #over: { error: ClawmeshError | undefined } | undefined

  /** `room`: its name, for people. */
  constructor(room: string) {
    this.#room = room
  }

  add(post: Post, bytes: number): void {
    this.#append({ post, bytes })
  }

  lose(lost: Lost): void {
    this.#append({ lost, bytes: 0 })
  }

  /** Nothing more will come: readers are told why, unless it ended in good order. */
  end(error: ClawmeshError | undefined): void {
    this.#over = { error }
    this.#wake()
  }

  async *read<S extends z.ZodType>(
    schema: S,
    { signal, onLost }: SubscribeOptions,
  ): AsyncGenerator<Post<z.output<S>>, void, void> {
    for (let at = this.#forgotten; !signal?.aborted; ) {
      if (at < this.#forgotten) throw unread(this.#room, this.#forgotten - at)
      const entry = this.#entries[at - this.#forgotten]
      if (!entry) {
        if (this.#over?.error) throw this.#over.error
        if (this.#over) return
        await this.#more(signal)
        continue
      }
      at += 1
      if ('lost' in entry) {
        if (!onLost) throw lostIn(this.#room, entry.lost)
        onLost(entry.lost)
        continue
      }
      const read = schema.safeParse(entry.post.value)
      if (read.success) yield { ...entry.post, value: read.data }
    }
  }

  #append(entry: Entry): void {
    this.#entries.push(entry)
    this.#bytes += entry.bytes
    while (this.#entries.length > mostKept || this.#bytes > mostKeptBytes) {
      this.#bytes -= this.#entries.shift()?.bytes ?? 0
      this.#forgotten += 1
    }
    this.#wake()
  }

  #wake(): void {
    for (const reader of [...this.#readers]) reader()
  }

  #more(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#readers.delete(wake)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      this.#readers.add(wake)
      signal?.addEventListener('abort', wake)
    })
  }
}

const unread = (room: string, entries: number) =>
  new ClawmeshError('MAILBOX_FULL', `${entries} posts of room "${room}" went by unread.`, {
    hint: 'Read faster, or say less at a time.',
  })

const lostIn = (room: string, { node, batches }: Lost) =>
  new ClawmeshError('UNREACHABLE', `${batches} batches of posts of node "${node}" in room "${room}" were lost.`, {
    hint: 'They were sent and did not come, and its publisher has them no more.',
    data: { node, batches },
  })
