import {
  DeliverPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamState,
} from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { ClawmeshError } from '../../policies/errors.js'
import { reachable } from './nats-bucket.js'
import type { AppendLog, Stored } from './transport.js'

const second = 1_000_000_000

const streamNotFound = 10059

const deliverWithinMs = 1500
const emptyBatches = 2

/** A stream that no client can delete from or purge. Options are read back: an old server drops what it does not know. */
export async function provideLog(connection: NatsConnection, stream: string, subjects: string): Promise<void> {
  const manager = await reachable(() => jetstreamManager(connection))
  const wanted = {
    name: stream,
    subjects: [subjects],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    deny_delete: true,
    deny_purge: true,
    duplicate_window: 120 * second,
  }
  const existing = await manager.streams.info(stream).catch(() => undefined)
  const { config } = existing ?? (await reachable(() => manager.streams.add(wanted)))
  if (!config.deny_delete || !config.deny_purge) {
    throw new ClawmeshError('AUDIT_UNAVAILABLE', `The audit stream ${stream} allows deletes or purges.`, {
      hint: 'Use nats-server 2.9 or newer, and a stream that clawmesh made itself.',
    })
  }
}

export class NatsLog implements AppendLog {
  readonly #connection: NatsConnection
  readonly #stream: string
  readonly #jetstream: JetStreamClient

  constructor(connection: NatsConnection, stream: string) {
    this.#connection = connection
    this.#stream = stream
    this.#jetstream = jetstream(connection)
  }

  async append(subject: string, id: string, bytes: Uint8Array): Promise<void> {
    await reachable(() => this.#jetstream.publish(subject, bytes, { msgID: id, timeout: 2000 }), 1)
  }

  async *read(): AsyncIterable<Stored> {
    const manager = await reachable(() => jetstreamManager(this.#connection))
    const state = await reachable(() => stateOf(manager, this.#stream))
    // A stream that is gone holds nothing: whoever verifies misses its records, and says so.
    if (!state || state.messages === 0) return
    for (let next = state.first_seq, empty = 0; next <= state.last_seq && empty < emptyBatches; ) {
      const from = next
      const batch = await reachable(() => this.#batch(from, state.last_seq))
      yield* batch
      next = (batch.at(-1)?.sequence ?? from - 1) + 1
      // A broker that was started again needs a moment. A store that was damaged promises messages that it can never deliver: they are missing, and
      // whoever verifies will say so.
      empty = batch.length === 0 ? empty + 1 : 0
    }
  }

  /** Under a reader of its own: one that the broker forgot in a restart fails this batch alone, and the batch is read again. */
  async #batch(from: number, last: number): Promise<Stored[]> {
    const options = { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: from }
    const consumer = await this.#jetstream.consumers.get(this.#stream, options)
    try {
      const found: Stored[] = []
      for await (const { seq, subject, data } of await consumer.fetch({
        max_messages: 500,
        expires: deliverWithinMs,
      })) {
        if (seq <= last) found.push({ sequence: seq, subject, bytes: data })
        if (seq >= last) break
      }
      return found
    } finally {
      consumer.delete().catch(() => undefined)
    }
  }
}

async function stateOf(manager: JetStreamManager, stream: string): Promise<StreamState | undefined> {
  try {
    return (await manager.streams.info(stream)).state
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === streamNotFound) return undefined
    throw error
  }
}
