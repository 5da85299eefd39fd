import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
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
import type { Acknowledgements } from './acknowledgements.js'
import { addAtLeader, reachable, replicate, unreachable } from './nats-bucket.js'
import type { RemovableLog, Stored } from './transport.js'

const second = 1_000_000_000

const streamNotFound = 10059

const deliverWithinMs = 1500
const emptyBatches = 2
/** A reader that nobody deletes is forgotten. */
const readerMs = 30_000

const storedWithinMs = 2000
const guardMs = 1000
const answerWithinMs = 1500
/** A broker that is killed and started again stays away for less than this many looks. */
const unansweredAllowed = 4

/** A stream that no client can delete from or purge. Options are read back: an old server drops what it does not know. */
export async function provideLog(
  connection: NatsConnection,
  stream: string,
  subjects: string,
  replicas: number,
): Promise<void> {
  const manager = await reachable(() => jetstreamManager(connection))
  const wanted = {
    name: stream,
    subjects: [subjects],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    deny_delete: true,
    deny_purge: true,
    duplicate_window: 120 * second,
    num_replicas: replicas,
  }
  const { config } = await reachable(async () => {
    try {
      return await manager.streams.info(stream)
    } catch (error) {
      if (isNotFound(error)) return manager.streams.add(wanted)
      throw error
    }
  })
  if (!config.deny_delete || !config.deny_purge) {
    throw new ClawmeshError('AUDIT_UNAVAILABLE', `The audit stream ${stream} allows deletes or purges.`, {
      hint: 'Use nats-server 2.9 or newer, and a stream that clawmesh made itself.',
    })
  }
  await replicate(connection, stream, config.num_replicas, replicas)
}

/** A stream of limited size: where it is full the oldest go. Options are read back, as above. */
export async function provideBounded(
  connection: NatsConnection,
  stream: string,
  subjects: string,
  limits: { perSubject: number; messages: number; messageBytes: number; bytes: number },
  replicas: number,
): Promise<void> {
  const manager = await reachable(() => jetstreamManager(connection))
  const bounds = {
    max_msgs_per_subject: limits.perSubject,
    max_msgs: limits.messages,
    max_msg_size: limits.messageBytes,
    max_bytes: limits.bytes,
  }
  const wanted = {
    name: stream,
    subjects: [subjects],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    ...bounds,
    num_replicas: replicas,
  }
  const isWithin = (config: Partial<typeof bounds>) =>
    Object.entries(bounds).every(([name, bound]) => config[name as keyof typeof bounds] === bound)
  const { config } = await reachable(async () => {
    try {
      const found = await manager.streams.info(stream)
      // One of an earlier version had other limits.
      return isWithin(found.config) ? found : await manager.streams.update(stream, { ...found.config, ...bounds })
    } catch (error) {
      if (isNotFound(error)) return manager.streams.add(wanted)
      throw error
    }
  })
  if (!isWithin(config)) {
    throw new ClawmeshError('BROKER_UNAVAILABLE', `The stream ${stream} has other limits than it needs.`, {
      hint: 'Use nats-server 2.9 or newer, and a stream that clawmesh made itself.',
    })
  }
  await replicate(connection, stream, config.num_replicas, replicas)
}

export class NatsLog implements RemovableLog {
  readonly #connection: NatsConnection
  readonly #stream: string
  readonly #acknowledgements: Acknowledgements
  readonly #jetstream: JetStreamClient

  constructor(connection: NatsConnection, stream: string, acknowledgements: Acknowledgements) {
    this.#connection = connection
    this.#stream = stream
    this.#acknowledgements = acknowledgements
    this.#jetstream = jetstream(connection)
  }

  async append(subject: string, id: string, bytes: Uint8Array): Promise<void> {
    const header = { 'Nats-Msg-Id': id }
    const { seq } = await reachable(() => this.#acknowledgements.publish(subject, bytes, header, storedWithinMs), 0)
    // A repetition whose first is still on its way to the other brokers: it stands nowhere yet, and may never.
    if (seq === 0) throw unreachable(new Error('the first of a repetition is not stored yet'))
  }

  async *read(from = 1): AsyncIterable<Stored> {
    const manager = await reachable(() => jetstreamManager(this.#connection))
    const state = await reachable(() => stateOf(manager, this.#stream))
    // A stream that is gone holds nothing: whoever verifies misses its records, and says so.
    if (!state || state.messages === 0) return
    for (let next = Math.max(from, state.first_seq), empty = 0; next <= state.last_seq && empty < emptyBatches; ) {
      const begin = next
      const batch = await reachable(() => this.#batch(manager, begin, state.last_seq))
      yield* batch
      next = (batch.at(-1)?.sequence ?? begin - 1) + 1
      // A broker that was started again needs a moment. A store that was damaged promises messages that it can never deliver: they are missing, and
      // whoever verifies will say so.
      empty = batch.length === 0 ? empty + 1 : 0
    }
  }

  async *follow(from: number, signal: AbortSignal): AsyncIterable<Stored> {
    const options = { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: from }
    const consumer = await reachable(() => this.#jetstream.consumers.get(this.#stream, options))
    const messages = await reachable(() => consumer.consume({ max_messages: 1000, expires: 5000 }))
    let read = from - 1
    let failure: ClawmeshError | undefined
    const stop = () => messages.stop()
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
    const guard = this.#guard(
      () => read,
      (error) => {
        failure = error
        stop()
      },
    )
    try {
      for await (const { seq, subject, data } of messages) {
        if (signal.aborted || failure) break
        yield { sequence: seq, subject, bytes: data }
        read = seq
      }
    } finally {
      clearInterval(guard)
      signal.removeEventListener('abort', stop)
      messages.stop()
      consumer.delete().catch(() => undefined)
    }
    if (failure && !signal.aborted) throw failure
  }

  async remove(sequence: number): Promise<void> {
    const manager = await reachable(() => jetstreamManager(this.#connection))
    await reachable(() => manager.streams.deleteMessage(this.#stream, sequence))
  }

  async last(): Promise<number> {
    const manager = await reachable(() => jetstreamManager(this.#connection))
    return (await reachable(() => stateOf(manager, this.#stream)))?.last_seq ?? 0
  }

  /** A consumer waits for ever, for a stream that was cut as for a broker that is gone: somebody must look. */
  #guard(read: () => number, failed: (error: ClawmeshError) => void): NodeJS.Timeout {
    let looking = false
    let unanswered = 0
    const look = async () => {
      const before = read()
      const manager = await jetstreamManager(this.#connection, { timeout: answerWithinMs, checkAPI: false })
      const last = (await stateOf(manager, this.#stream))?.last_seq ?? 0
      unanswered = 0
      if (last < before) failed(cut(last, before))
    }
    return setInterval(() => {
      if (looking) return
      looking = true
      look()
        .catch((error: unknown) => {
          unanswered += 1
          if (unanswered >= unansweredAllowed || this.#connection.isClosed()) failed(unreachable(error))
        })
        .finally(() => {
          looking = false
        })
    }, guardMs)
  }

  /** Under a reader of its own, at the broker that lacks nothing: one that was forgotten in a restart fails this batch alone, and the batch is read again. */
  async #batch(manager: JetStreamManager, from: number, last: number): Promise<Stored[]> {
    const reader = await addAtLeader(manager, this.#stream, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: from,
      inactive_threshold: readerMs * 1_000_000,
      max_deliver: 1,
      mem_storage: true,
      num_replicas: 1,
    })
    const consumer = this.#jetstream.consumers.getConsumerFromInfo(reader)
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

/** What a reader says who finds less than it had read before. */
export function cut(last: number, read: number): ClawmeshError {
  return new ClawmeshError(
    'AUDIT_BROKEN',
    `The audit stream ends at message ${last}; it was read up to message ${read} before.`,
    {
      hint: 'It was cut or put back to an earlier state. Run `clawmesh audit verify`, and keep what was exported.',
    },
  )
}

async function stateOf(manager: JetStreamManager, stream: string): Promise<StreamState | undefined> {
  try {
    return (await manager.streams.info(stream)).state
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

const isNotFound = (error: unknown) => error instanceof JetStreamApiError && error.code === streamNotFound
