import { JetStreamApiError, StorageType } from '@nats-io/jetstream'
import { type KV, Kvm, type KvWatchEntry } from '@nats-io/kv'
import { ClosedConnectionError, type NatsConnection } from '@nats-io/transport-node'
import { ClawmeshError } from '../../policies/errors.js'
import type { Bucket, Entry, Subscription } from './transport.js'

type OnConnection = (listener: (connected: boolean) => void) => void

const wrongRevision = 10071

export async function provideBucket(connection: NatsConnection, name: string): Promise<void> {
  await reachable(() => new Kvm(connection).create(name, { history: 1, storage: StorageType.File }))
}

export async function openNatsBucket(
  connection: NatsConnection,
  name: string,
  onConnection: OnConnection,
): Promise<Bucket> {
  return new NatsBucket(await reachable(() => new Kvm(connection).open(name)), onConnection)
}

class NatsBucket implements Bucket {
  readonly #kv: KV
  readonly #onConnection: OnConnection

  constructor(kv: KV, onConnection: OnConnection) {
    this.#kv = kv
    this.#onConnection = onConnection
  }

  put(key: string, value: Uint8Array): Promise<number> {
    return reachable(() => this.#kv.put(key, value))
  }

  async swap(key: string, value: Uint8Array, revision: number): Promise<number | undefined> {
    try {
      return await this.#kv.put(key, value, { previousSeq: revision })
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === wrongRevision) return undefined
      throw unreachable(error)
    }
  }

  async get(key: string): Promise<Entry | undefined> {
    const entry = await reachable(() => this.#kv.get(key))
    return entry
      ? { key, value: entry.operation === 'PUT' ? entry.value : undefined, revision: entry.revision }
      : undefined
  }

  async delete(key: string): Promise<void> {
    await reachable(() => this.#kv.delete(key))
  }

  /**
   * A watch lives in the broker's memory and ends with it, so it is begun anew after each reconnection, and all that the bucket holds comes
   * again: `changed` must bear to hear of an entry twice.
   */
  async watch(changed: (entry: Entry) => void): Promise<Subscription> {
    let current: { stop(): void } | undefined
    let ended = false
    const begin = async () => {
      const isEmpty = (await this.#kv.status()).values === 0
      const entries = await this.#kv.watch()
      current?.stop()
      current = entries
      if (ended) return entries.stop()
      await new Promise<void>((ready) => {
        if (isEmpty) ready()
        void follow(entries, changed, ready)
      })
    }
    await reachable(begin)
    let sawFirst = false
    this.#onConnection((connected) => {
      // The listener hears the present state at once; only what comes after that is a reconnection.
      if (connected && sawFirst && !ended) void persist(begin, () => ended)
      sawFirst = true
    })
    return {
      unsubscribe: () => {
        ended = true
        current?.stop()
      },
    }
  }
}

/** `ready` is called when all that stood in the bucket at the start has been passed on. */
async function follow(
  entries: AsyncIterable<KvWatchEntry>,
  changed: (entry: Entry) => void,
  ready: () => void,
): Promise<void> {
  for await (const { key, value, revision, operation, isUpdate } of entries) {
    changed({ key, value: operation === 'PUT' ? value : undefined, revision })
    if (isUpdate) ready()
  }
  ready()
}

/** JetStream comes up a little after the connection: tries again until it answers. */
async function persist(begin: () => Promise<void>, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    try {
      return await begin()
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

/**
 * Does what may be done twice, and does it again where the broker gave no answer: what was on its way when a broker died is lost. An answer that says no
 * is final.
 */
export async function reachable<T>(work: () => Promise<T>, tries = 3): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (attempt === tries || error instanceof JetStreamApiError || error instanceof ClosedConnectionError)
        throw unreachable(error)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

export function unreachable(cause: unknown): ClawmeshError {
  const reason = cause instanceof Error ? cause.message || cause.name : String(cause)
  return new ClawmeshError('BROKER_UNAVAILABLE', `The broker did not do what was asked: ${reason}.`, {
    hint: 'If it was restarted, try again in a moment.',
    cause,
  })
}
