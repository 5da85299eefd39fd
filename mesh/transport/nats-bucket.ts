import {
  AckPolicy,
  type ConsumerConfig,
  type ConsumerInfo,
  DeliverPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  StorageType,
} from '@nats-io/jetstream'
import { type KV, Kvm } from '@nats-io/kv'
import {
  ClosedConnectionError,
  createInbox,
  type NatsConnection,
  nanos,
  PermissionViolationError,
} from '@nats-io/transport-node'
import { ClawmeshError } from '../../policies/errors.js'
import { type Acknowledgements, NobodyStores } from './acknowledgements.js'
import { type Bucket, type Entry, failoverMs, type Subscription } from './transport.js'

type OnConnection = (listener: (connected: boolean) => void) => Subscription

const wrongRevision = 10071
const noPeers = 10005
const insufficientStorage = 10047
/** "Temporarily unavailable": a cluster that chooses a leader. */
const unavailable = 503
/** Set on what is no put: a delete or a purge. */
const operationHeader = 'KV-Operation'
const answerWithinMs = 3000
/** A watch of which nothing was heard for three of these is dead: the broker that held it has gone, and the connection is to another. */
const heartbeatMs = 1000
/** The broker draws one of three: twenty in vain are less than one in a thousand. */
const leaderTries = 20
/** All that a mesh keeps, from one disk of a machine to another. */
const replicatedWithinMs = 120_000
const forgetAfterMs = 5 * 60 * 1000

/** On `replicas` brokers. Reads are answered by the leader alone: a replica may be behind, and a writer must see what it wrote. */
export async function provideBucket(connection: NatsConnection, name: string, replicas: number): Promise<void> {
  const kvm = new Kvm(jetstream(connection, { timeout: answerWithinMs }))
  const options = { history: 1, storage: StorageType.File, replicas, allow_direct: false }
  const kv = await reachable(() => kvm.create(name, options))
  await replicate(connection, `KV_${name}`, (await reachable(() => kv.status())).replicas, replicas)
}

/**
 * A stream that was made for fewer brokers is spread over more; resolves when each has all of it: before that, the loss of one could be the loss of what only that one has.
 * Read back, since what the broker does not do it may also not say.
 */
export async function replicate(connection: NatsConnection, stream: string, has: number, wants: number): Promise<void> {
  if (has >= wants) return
  const manager = await reachable(() => jetstreamManager(connection, { timeout: answerWithinMs }))
  await reachable(() => manager.streams.update(stream, { num_replicas: wants }))
  await reachable(async () => {
    const { cluster } = await manager.streams.info(stream)
    const current = (cluster?.replicas ?? []).filter((replica) => replica.current).map(({ name }) => name)
    // Without a leader nobody can say who has all of it.
    const copies = cluster?.leader ? new Set([cluster.leader, ...current]).size : 0
    if (copies < wants) throw new Error(`${stream} is on ${copies} of ${wants} brokers`)
  }, replicatedWithinMs)
}

export async function openNatsBucket(
  connection: NatsConnection,
  name: string,
  acknowledgements: Acknowledgements,
  onConnection: OnConnection,
  inbox: string | undefined,
): Promise<Bucket> {
  const client = jetstream(connection, { timeout: answerWithinMs })
  const [kv, manager] = await Promise.all([
    reachable(() => new Kvm(client).open(name)),
    reachable(() => jetstreamManager(connection, { timeout: answerWithinMs })),
  ])
  return new NatsBucket({ kv, name, acknowledgements, jetstream: client, manager, onConnection, inbox })
}

interface NatsBucketParts {
  kv: KV
  name: string
  acknowledgements: Acknowledgements
  jetstream: JetStreamClient
  manager: JetStreamManager
  onConnection: OnConnection
  /** Where this user may be answered. */
  inbox: string | undefined
}

class NatsBucket implements Bucket {
  readonly #kv: KV
  readonly #acknowledgements: Acknowledgements
  readonly #inbox: string | undefined
  readonly #jetstream: JetStreamClient
  readonly #manager: JetStreamManager
  readonly #stream: string
  readonly #subjects: string
  readonly #onConnection: OnConnection

  constructor({ kv, name, acknowledgements, jetstream: client, manager, onConnection, inbox }: NatsBucketParts) {
    this.#kv = kv
    this.#acknowledgements = acknowledgements
    this.#inbox = inbox
    this.#jetstream = client
    this.#manager = manager
    this.#stream = `KV_${name}`
    this.#subjects = `$KV.${name}.`
    this.#onConnection = onConnection
  }

  put(key: string, value: Uint8Array, withinMs = failoverMs): Promise<number> {
    return reachable(() => this.#put(key, value), withinMs)
  }

  async swap(key: string, value: Uint8Array, revision: number): Promise<number | undefined> {
    try {
      return await this.#put(key, value, { 'Nats-Expected-Last-Subject-Sequence': String(revision) })
    } catch (error) {
      if (isWrongRevision(error)) return undefined
      throw unreachable(error)
    }
  }

  async #put(key: string, value: Uint8Array, header: Readonly<Record<string, string>> = {}): Promise<number> {
    return (await this.#acknowledgements.publish(`${this.#subjects}${key}`, value, header, answerWithinMs)).seq
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

  async purge(keys: string): Promise<void> {
    await reachable(() => this.#manager.streams.purge(this.#stream, { filter: `${this.#subjects}${keys}` }))
  }

  /**
   * A watch lives in the memory of one broker: it is deleted when it is no longer wanted, ends with its broker, and is forgotten five minutes after its
   * watcher died. So it is begun anew after each reconnection, and when nothing more is heard of it, and all that the bucket holds comes again: `changed`
   * must bear to hear of an entry twice.
   */
  async watch(changed: (entry: Entry) => void, keys = '>'): Promise<Subscription> {
    let current: Watch | undefined
    let ended = false
    let isBeginning = false
    const begin = async () => {
      const next = await this.#beginWatch(changed, keys, () => void again())
      current?.end()
      current = next
      if (ended) return next.end()
      await next.ready
    }
    const again = async () => {
      if (isBeginning || ended) return
      isBeginning = true
      await persist(begin, () => ended)
      isBeginning = false
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

  /** The client's own watch would leave its consumer in the broker's store, and would notice its end after a minute. `lost` is called once, if it ends by itself. */
  async #beginWatch(changed: (entry: Entry) => void, keys: string, lost: () => void): Promise<Watch> {
    const deliver_subject = createInbox(this.#inbox)
    const idle_heartbeat = nanos(heartbeatMs)
    const { name, num_pending } = await addAtLeader(this.#manager, this.#stream, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.LastPerSubject,
      deliver_subject,
      filter_subject: `${this.#subjects}${keys}`,
      flow_control: true,
      idle_heartbeat,
      inactive_threshold: nanos(forgetAfterMs),
      max_deliver: 1,
      mem_storage: true,
      num_replicas: 1,
    })
    const consumer = await this.#jetstream.consumers.getBoundPushConsumer({ deliver_subject, idle_heartbeat })
    const ready = new Settling()
    const connection = this.#onConnection((connected) => {
      if (!connected) ready.fail(unreachable(new Error('the connection was lost while a bucket was read')))
    })
    let waiting = num_pending
    let delivered = 0
    let ended = false
    const fail = () => {
      if (ended) return
      end()
      // Whoever waits for it to be ready begins it anew himself.
      if (ready.isSettled) lost()
      else ready.fail(unreachable(new Error('the broker that held a watch has gone')))
    }
    const isReady = () => {
      connection.unsubscribe()
      ready.done()
    }
    const messages = await consumer.consume({
      callback: ({ subject, headers, data, seq, info }) => {
        if (ended) return
        delivered += 1
        if (info.deliverySequence !== delivered) return fail()
        const isGone = headers?.has(operationHeader) === true
        changed({ key: subject.slice(this.#subjects.length), value: isGone ? undefined : data, revision: seq })
        waiting -= 1
        if (waiting <= 0) isReady()
      },
    })
    if (waiting <= 0) isReady()
    void (async () => {
      for await (const { type } of messages.status())
        if (type === 'heartbeats_missed' || type === 'consumer_deleted') fail()
    })()
    const end = () => {
      ended = true
      connection.unsubscribe()
      messages.stop()
      // One that the broker has forgotten, or cannot be told of, needs no deleting.
      this.#manager.consumers.delete(this.#stream, name).catch(() => undefined)
    }
    return { ready: ready.promise, end }
  }
}

/** Where several brokers keep a stream, any of them is given a reader, and one that is behind would not show what was written last: the leader is not. */
export async function addAtLeader(
  manager: JetStreamManager,
  stream: string,
  config: Partial<ConsumerConfig>,
): Promise<ConsumerInfo> {
  for (let tries = 0; tries < leaderTries; tries += 1) {
    const consumer = await manager.consumers.add(stream, config)
    const place = consumer.cluster?.leader
    if (place === undefined) return consumer
    const { cluster } = await manager.streams.info(stream)
    if (cluster?.leader === place) return consumer
    await manager.consumers.delete(stream, consumer.name)
  }
  throw unreachable(new Error(`the leader of ${stream} was not given its reader`))
}

/** A promise that is settled from outside, and can be asked whether it is. */
class Settling {
  isSettled = false
  readonly promise: Promise<void>
  #resolve: () => void = () => undefined
  #reject: (error: Error) => void = () => undefined

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.promise.catch(() => undefined)
  }

  done(): void {
    this.isSettled = true
    this.#resolve()
  }

  fail(error: Error): void {
    this.isSettled = true
    this.#reject(error)
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
 * Does what may be done twice, and does it again where the broker gave no answer or has no leader yet: what was on its way when a broker died is lost. An
 * answer that says no is final.
 */
export async function reachable<T>(work: () => Promise<T>, withinMs = failoverMs): Promise<T> {
  for (const until = performance.now() + withinMs; ; ) {
    try {
      return await work()
    } catch (error) {
      if (isFinal(error) || performance.now() > until) throw unreachable(error)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

const isLeaderless = (error: unknown) =>
  error instanceof NobodyStores ||
  (error instanceof Error && error.name === 'JetStreamNotEnabled') ||
  (error instanceof JetStreamApiError && error.status === unavailable)

/** What is not allowed now is not allowed in a moment either: rights come with the connection. */
const isForbidden = (error: unknown) =>
  error instanceof PermissionViolationError ||
  (error instanceof Error && error.cause instanceof PermissionViolationError)

const isFinal = (error: unknown) =>
  error instanceof ClosedConnectionError ||
  isForbidden(error) ||
  (error instanceof JetStreamApiError && error.status !== unavailable && error.code !== noPeers)

export function unreachable(cause: unknown): ClawmeshError {
  if (cause instanceof JetStreamApiError && cause.code === insufficientStorage)
    return new ClawmeshError('DISK_FULL', 'The disk of the broker has no room for a stream that the mesh needs.', {
      hint: 'Free some space where the data folder is, and start again.',
      cause,
    })
  const reason = cause instanceof Error ? cause.message || cause.name : String(cause)
  return new ClawmeshError('BROKER_UNAVAILABLE', `The broker did not do what was asked: ${reason}.`, {
    hint: 'If it was restarted, try again in a moment.',
    // It was reached, and answered that nobody leads what was asked for.
    data: { leaderless: isLeaderless(cause) },
    cause,
  })
}
