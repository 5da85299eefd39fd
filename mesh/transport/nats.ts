/** The mesh over a NATS server: core subjects for messages, a key-value bucket for the directory, a stream for the audit log. */
import { connect, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node'
import { ClawmeshError } from '../../policies/errors.js'
import type { Addresses } from '../address.js'
import { openNatsBucket, provideBucket, unreachable } from './nats-bucket.js'
import { NatsLog, provideLog } from './nats-log.js'
import type { AppendLog, Bucket, Receive, Subscription, Transport } from './transport.js'

const connectWithinMs = 10_000
const reachWithinMs = 10_000

export interface NatsOptions {
  servers: string[]
  /** An nkey user seed: proves who connects without a secret crossing the wire. */
  seed: string
  name: string
}

/** Tries for a few seconds: a broker that has just been started again lets nobody in for a moment. */
export async function connectNats(options: NatsOptions): Promise<NatsTransport> {
  for (const until = performance.now() + connectWithinMs; ; ) {
    try {
      return new NatsTransport(await connectOnce(options))
    } catch (cause) {
      if (performance.now() > until) {
        throw new ClawmeshError('BROKER_UNAVAILABLE', `No NATS server lets us in at ${options.servers.join(', ')}.`, {
          hint: 'Check that it runs and that this node belongs to its mesh.',
          cause,
        })
      }
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

function connectOnce({ servers, seed, name }: NatsOptions): Promise<NatsConnection> {
  return connect({
    servers,
    name,
    authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    reconnectJitter: 50,
    waitOnFirstConnect: false,
    // A broker that reloads or comes up can leave a connection unanswered: better a new one soon than a long wait for this one.
    timeout: 2500,
    noAsyncTraces: true,
  })
}

export class NatsTransport implements Transport {
  readonly #connection: NatsConnection
  readonly #listeners = new Set<(connected: boolean) => void>()
  #connected = true

  constructor(connection: NatsConnection) {
    this.#connection = connection
    void this.#followStatus()
  }

  publish(subject: string, bytes: Uint8Array): void {
    this.#connection.publish(subject, bytes)
  }

  async subscribe(subject: string, receive: Receive): Promise<Subscription> {
    const subscription = this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (!error) receive(message.subject, message.data)
      },
    })
    await this.#reached()
    return { unsubscribe: () => subscription.unsubscribe() }
  }

  /** Resolves when the broker has taken all so far; a connection that is lost meanwhile says again what it subscribes to when it is back. */
  async #reached(): Promise<void> {
    for (const until = performance.now() + reachWithinMs; ; ) {
      try {
        return await this.#connection.flush()
      } catch (error) {
        if (this.#connection.isClosed() || performance.now() > until) throw unreachable(error)
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  async bucket(name: string): Promise<Bucket> {
    return openNatsBucket(this.#connection, name, (listener) => this.onConnection(listener))
  }

  log(stream: string): AppendLog {
    return new NatsLog(this.#connection, stream)
  }

  onConnection(listener: (connected: boolean) => void): void {
    this.#listeners.add(listener)
    listener(this.#connected)
  }

  /** Makes the buckets and the stream of a mesh if they are not there. Only the authority may. */
  async provide(addresses: Addresses): Promise<void> {
    await provideBucket(this.#connection, addresses.directory)
    await provideBucket(this.#connection, addresses.tasks)
    await provideLog(this.#connection, addresses.auditStream, addresses.auditSubjects)
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }

  async #followStatus(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === 'disconnect') this.#tell(false)
      if (status.type === 'reconnect') this.#tell(true)
    }
  }

  #tell(connected: boolean): void {
    if (connected === this.#connected) return
    this.#connected = connected
    for (const listener of this.#listeners) listener(connected)
  }
}
