import { DeliverPolicy, JetStreamApiError, type JetStreamClient, jetstream, StorageType } from '@nats-io/jetstream'
import { type KV, Kvm } from '@nats-io/kv'
import { ClosedConnectionError, type NatsConnection } from '@nats-io/transport-node'
import { ClawmeshError } from '../../policies/errors.js'
import type { Bucket, Entry, Subscription } from './transport.js'

type OnConnection = (listener: (connected: boolean) => void) => Subscription

const wrongRevision = 10071
/** Set on what is no put: a delete or a purge. */
const operationHeader = 'KV-Operation'

export async function provideBucket(connection: NatsConnection, name: string): Promise<void> {
  await reachable(() => new Kvm(connection).create(name, { history: 1, storage: StorageType.File }))
}

export async function openNatsBucket(
  connection: NatsConnection,
  name: string,
  onConnection: OnConnection,
): Promise<Bucket> {
  const kv = await reachable(() => new Kvm(connection).open(name))
  return new NatsBucket({ kv, name, jetstream: jetstream(connection), onConnection })
}

interface NatsBucketParts {
  kv: KV
  name: string
  jetstream: JetStreamClient
  onConnection: OnConnection
}

class NatsBucket implements Bucket {
  readonly #kv: KV
  readonly #jetstream: JetStreamClient
  readonly #stream: string
  readonly #subjects: string
  readonly #onConnection: OnConnection

  constructor({ kv, name, jetstream: client, onConnection }: NatsBucketParts) {
    this.#kv = kv
    this.#jetstream = client
    this.#stream = `KV_${name}`
    this.#subjects = `$KV.${name}.`
    this.#onConnection = onConnection
  }

  put(key: string, value: Uint8Array): Promise<number> {
    return reachable(() => this.#kv.put(key, value))
  }

  async swap(key: string, value: Uint8Array, revision: number): Promise<number | undefined> {
    try {
      return await this.#kv.put(key, value, { previousSeq: revision })
    } catch (error) {
      if (isWrongRevision(error)) return undefined
      throw unreachable(error)
    }
  }

  async get(key: string): Promise<Entry | undefined> {
    const entry = await reachable(() => this.#kv.get(key))
    return entry
      ? { key, value: entry.operation === 'PUT' ? entry.value : undefined, revision: entry.revision }
      : undefined
  }

  async delete(key: string, revision?: number): Promise<void> {
    try {
      await reachable(() => this.#kv.delete(key, revision === undefined ? {} : { previousSeq: revision }))
    } catch (error) {
      if (!isWrongRevision(error instanceof ClawmeshError ? error.cause : error)) throw error
    }
  }

  /**
   * A watch lives in the broker's memory: it is deleted when it is no longer wanted, ends with the broker, and is forgotten by it five minutes after its
   * watcher died. So it is begun anew after each reconnection, and all that the bucket holds comes again: `changed` must bear to hear of an entry twice.
   */
  async watch(changed: (entry: Entry) => void): Promise<Subscription> {
    let current: Watch | undefined
    let ended = false
    const begin = async () => {
      const next = await this.#beginWatch(changed)
      current?.end()
      current = next
      if (ended) return next.end()
      await next.ready
    }
    await reachable(begin)
    let sawFirst = false
    const connection = this.#onConnection((connected) => {
      // The listener hears the present state at once; only what comes after that is a reconnection.
      if (connected && sawFirst && !ended) void persist(begin, () => ended)
      sawFirst = true
    })
    return {
      unsubscribe: () => {
        ended = true
        connection.unsubscribe()
        current?.end()
      },
    }
  }

  /** The client's own watch would leave its consumer in the broker's store. */
  async #beginWatch(changed: (entry: Entry) => void): Promise<Watch> {
    const wanted = {
      deliver_policy: DeliverPolicy.LastPerSubject,
      filter_subjects: `${this.#subjects}>`,
      mem_storage: true,
    }
    const consumer = await this.#jetstream.consumers.getPushConsumer(this.#stream, wanted)
    let waiting = (await consumer.info(true)).num_pending
    let isReady: () => void = () => undefined
    const ready = new Promise<void>((resolve, reject) => {
      isReady = resolve
      if (waiting === 0) return resolve()
      const connection = this.#onConnection((connected) => {
        if (!connected) reject(unreachable(new Error('the connection was lost while a bucket was read')))
      })
      isReady = () => {
        connection.unsubscribe()
        resolve()
      }
    })
    ready.catch(() => undefined)
    const messages = await consumer.consume({
      callback: ({ subject, headers, data, seq }) => {
        const isGone = headers?.has(operationHeader) === true
        changed({ key: subject.slice(this.#subjects.length), value: isGone ? undefined : data, revision: seq })
        waiting -= 1
        if (waiting <= 0) isReady()
      },
    })
    void messages.closed().then(() => isReady())
    return {
      ready,
      end: () => {
        messages.stop()
        // One that the broker has forgotten, or cannot be told of, needs no deleting.
        consumer.delete().catch(() => undefined)
      },
    }
  }
}

const isWrongRevision = (error: unknown) => error instanceof JetStreamApiError && error.code === wrongRevision

interface Watch {
  /** All that stood in the bucket at the start has been passed on. Rejects if the connection is lost before: what was not delivered by then never is. */
  readonly ready: Promise<void>
  end(): void
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
