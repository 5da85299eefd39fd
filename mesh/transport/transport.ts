/**
 * The seam between the mesh and what carries it: a wire, a bucket and a log. Two implementations, `memory` for one process and
 * `nats` for many, pass one contract suite. Everything that crosses it is sealed already; a transport reads nothing.
 */

/**
 * How long what is written may wait for a broker: a cluster chooses a leader in rounds of 4 to 9 s, when one dies or when all of it is started, and in more than one where votes are
 * split.
 */
export const failoverMs = 30_000

export type Receive = (subject: string, bytes: Uint8Array) => void

export interface Transport {
  /** Sends and forgets: no acknowledgement, at most once. */
  publish(subject: string, bytes: Uint8Array): void
  /** Resolves when the broker knows of the subscription. */
  subscribe(subject: string, receive: Receive): Promise<Subscription>
  bucket(name: string): Promise<Bucket>
  log(stream: string): RemovableLog
  /** Called with false when the connection is lost and true when it is back; at once with the present state. */
  onConnection(listener: (connected: boolean) => void): Subscription
  close(): Promise<void>
}

export interface Subscription {
  unsubscribe(): void
}

export interface Entry {
  key: string
  /** Undefined: the key was deleted. */
  value: Uint8Array | undefined
  /** Grows with every write to the bucket. */
  revision: number
}

export interface Bucket {
  /** Writes whatever is there, again for so long if nobody answers (some seconds unless told). Resolves to the revision. */
  put(key: string, value: Uint8Array, withinMs?: number): Promise<number>
  /** Writes only if the key's latest revision is `revision` (0: the key must not exist); otherwise resolves to undefined. */
  swap(key: string, value: Uint8Array, revision: number): Promise<number | undefined>
  get(key: string): Promise<Entry | undefined>
  /** Deletes whatever is there or, with a revision, only what is the key's latest one; otherwise does nothing. */
  delete(key: string, revision?: number): Promise<void>
  /** Removes all keys that match, as in `watch`, and every mark of them: no watcher is told. The authority's alone. */
  purge(keys: string): Promise<void>
  /**
   * Calls back for every key that exists, then for every change; resolves when the first part is done. `keys`: of those that match alone, where `*` stands for one
   * part between dots; left out, of all.
   */
  watch(changed: (entry: Entry) => void, keys?: string): Promise<Subscription>
}

export interface Stored {
  /** Position in the stream, from 1. */
  sequence: number
  subject: string
  bytes: Uint8Array
}

/** Not every stream lets one remove what it holds. */
export interface RemovableLog extends AppendLog {
  remove(sequence: number): Promise<void>
}

export interface AppendLog {
  /** Resolves when the stream holds it. The same `id` again is answered, not stored twice. */
  append(subject: string, id: string, bytes: Uint8Array): Promise<void>
  /** Everything stored at the moment of the call, from that message on (left out: from the first), oldest first. */
  read(from?: number): AsyncIterable<Stored>
  /**
   * The same, and then whatever comes, until `signal` says enough. Throws AUDIT_BROKEN if the stream becomes shorter than what was read of it, and
   * BROKER_UNAVAILABLE if the broker stays away.
   */
  follow(from: number, signal: AbortSignal): AsyncIterable<Stored>
  /** The position of the last message; 0 if there is none. */
  last(): Promise<number>
}
