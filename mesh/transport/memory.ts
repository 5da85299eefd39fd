/**
 * A broker inside one process: for a mesh of one process and for tests that need no network. It keeps the promises of a real one:
 * delivery is asynchronous, in order for each publisher, and bytes are copied, so nobody shares memory by accident.
 */
import { ClawmeshError } from '../../policies/errors.js'
import type { Bucket, Entry, Receive, RemovableLog, Stored, Subscription, Transport } from './transport.js'

export class MemoryBroker {
  readonly #subscribers = new Map<string, Set<Receive>>()
  /** The same with tokens that stand for any one: few, and looked through one by one. */
  readonly #patterns = new Map<string, Set<Receive>>()
  readonly #buckets = new Map<string, MemoryBucket>()
  readonly #logs = new Map<string, MemoryLog>()

  /** A connection of its own, as one node would have it. */
  connect(): Transport {
    const mine = new Set<Subscription>()
    let open = true
    return {
      publish: (subject, bytes) => {
        if (open) this.#deliver(subject, bytes.slice())
      },
      subscribe: async (subject, receive) => {
        const subscription = this.#subscribe(subject, receive)
        mine.add(subscription)
        return subscription
      },
      bucket: async (name) => this.#buckets.get(name) ?? keep(this.#buckets, name, new MemoryBucket()),
      log: (stream) => this.#logs.get(stream) ?? keep(this.#logs, stream, new MemoryLog()),
      onConnection: (listener) => {
        listener(open)
        return { unsubscribe: () => undefined }
      },
      close: async () => {
        open = false
        for (const subscription of mine) subscription.unsubscribe()
      },
    }
  }

  #subscribe(subject: string, receive: Receive): Subscription {
    const groups = subject.split('.').includes('*') ? this.#patterns : this.#subscribers
    const group = groups.get(subject) ?? keep(groups, subject, new Set())
    group.add(receive)
    return { unsubscribe: () => group.delete(receive) }
  }

  #deliver(subject: string, bytes: Uint8Array): void {
    setImmediate(() => {
      for (const receive of this.#subscribers.get(subject) ?? []) receive(subject, bytes)
      for (const [pattern, group] of this.#patterns)
        if (matches(pattern, subject)) for (const receive of group) receive(subject, bytes)
    })
  }
}

class MemoryBucket implements Bucket {
  readonly #entries = new Map<string, Entry>()
  readonly #watchers = new Set<(entry: Entry) => void>()
  #revision = 0

  async put(key: string, value: Uint8Array): Promise<number> {
    return this.#write({ key, value: value.slice(), revision: ++this.#revision })
  }

  async swap(key: string, value: Uint8Array, revision: number): Promise<number | undefined> {
    if ((this.#entries.get(key)?.revision ?? 0) !== revision) return undefined
    return this.put(key, value)
  }

  async get(key: string): Promise<Entry | undefined> {
    return this.#entries.get(key)
  }

  async delete(key: string, revision?: number): Promise<void> {
    if (revision !== undefined && this.#entries.get(key)?.revision !== revision) return
    this.#write({ key, value: undefined, revision: ++this.#revision })
    this.#entries.delete(key)
  }

  async purge(keys: string): Promise<void> {
    for (const key of this.#entries.keys()) if (matches(keys, key)) this.#entries.delete(key)
  }

  async watch(changed: (entry: Entry) => void, keys?: string): Promise<Subscription> {
    const tell = (entry: Entry) => {
      if (keys === undefined || matches(keys, entry.key)) changed(entry)
    }
    for (const entry of this.#entries.values()) tell(entry)
    this.#watchers.add(tell)
    return { unsubscribe: () => this.#watchers.delete(tell) }
  }

  #write(entry: Entry): number {
    this.#entries.set(entry.key, entry)
    setImmediate(() => {
      for (const changed of this.#watchers) changed(entry)
    })
    return entry.revision
  }
}

class MemoryLog implements RemovableLog {
  /** By position; what was removed leaves a gap. */
  readonly #stored: (Stored | undefined)[] = []
  readonly #ids = new Set<string>()
  readonly #waiting = new Set<() => void>()

  async append(subject: string, id: string, bytes: Uint8Array): Promise<void> {
    if (this.#ids.has(id)) return
    if (this.#stored.length >= 1_000_000) {
      throw new ClawmeshError('AUDIT_UNAVAILABLE', 'The in-memory log is full at a million events.')
    }
    this.#ids.add(id)
    this.#stored.push({ sequence: this.#stored.length + 1, subject, bytes: bytes.slice() })
    for (const tell of [...this.#waiting]) tell()
  }

  async *read(from = 1): AsyncIterable<Stored> {
    yield* this.#stored.slice(from - 1).filter((stored) => stored !== undefined)
  }

  async *follow(from: number, signal: AbortSignal): AsyncIterable<Stored> {
    for (let next = from; !signal.aborted; ) {
      yield* this.read(next)
      next = Math.max(next, this.#stored.length + 1)
      if (this.#stored.length < next) await this.#grows(signal)
    }
  }

  async remove(sequence: number): Promise<void> {
    if (sequence <= this.#stored.length) this.#stored[sequence - 1] = undefined
  }

  async last(): Promise<number> {
    return this.#stored.length
  }

  #grows(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#waiting.add(done)
      signal.addEventListener('abort', done)
    })
  }
}

function matches(pattern: string, subject: string): boolean {
  const [wanted, found] = [pattern.split('.'), subject.split('.')]
  return wanted.length === found.length && wanted.every((token, at) => token === '*' || token === found[at])
}

function keep<K, V>(map: Map<K, V>, key: K, value: V): V {
  map.set(key, value)
  return value
}
