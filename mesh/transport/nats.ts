/** The mesh over a NATS server: core subjects for messages, a key-value bucket for the directory, a stream for the audit log. */
import {
  AuthorizationError,
  connect,
  jwtAuthenticator,
  type NatsConnection,
  PermissionViolationError,
} from '@nats-io/transport-node'
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import type { Addresses } from '../address.js'
import type { BrokerUser } from '../broker/accounts.js'
import { deadLimits } from '../dead/stream.js'
import { Acknowledgements } from './acknowledgements.js'
import { openNatsBucket, provideBucket, unreachable } from './nats-bucket.js'
import { NatsLog, provideBounded, provideLog } from './nats-log.js'
import type { Bucket, Receive, RemovableLog, Subscription, Transport } from './transport.js'

const claimsAnswer = z.object({ error: z.object({ description: z.string().optional() }).optional() })

const connectWithinMs = 10_000
/** A broker that reloads or comes up can leave a connection unanswered: better a new one soon than a long wait for this one. */
const soonMs = 2500
const letInWithinMs = 2000
/** Says the broker where the answer to its challenge is long in coming, as that of a process that stood still: of who is asking it says nothing. */
const answeredLate = /authentication timeout/i
const reachWithinMs = 10_000

/** What one needs to reach a broker. */
export interface NatsAccess {
  servers: string[]
  /** Proves who connects without a secret crossing the wire. */
  user: BrokerUser
  /** The certificate of the mesh's own TLS authority (PEM): whoever shows one signed by it is the broker, at whatever address. */
  tlsAuthority?: string | undefined
}

export interface NatsOptions extends NatsAccess {
  /** What the broker's log calls the connection. */
  name: string
}

/** Tries for a few seconds: a broker that has just been started again lets nobody in for a moment. */
export async function connectNats(options: NatsOptions, withinMs = connectWithinMs): Promise<NatsTransport> {
  const began = performance.now()
  const triedMs = () => performance.now() - began
  for (let refusals = 0; ; ) {
    try {
      // A broker on a busy machine gets longer each time.
      return new NatsTransport(await connectOnce(options, Math.max(soonMs, triedMs())), options.user.inbox)
    } catch (cause) {
      const tried = triedMs()
      const isRefused = cause instanceof AuthorizationError && !answeredLate.test(cause.message)
      // More than once: the time may have passed while this process stood still.
      if (isRefused && ++refusals > 1 && tried > letInWithinMs) throw turnedAway(options, cause)
      if (tried > withinMs) {
        throw new ClawmeshError('BROKER_UNAVAILABLE', `No NATS server lets us in at ${options.servers.join(', ')}.`, {
          hint: 'Check that it runs and that this node belongs to its mesh.',
          cause,
        })
      }
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

const turnedAway = ({ servers }: NatsOptions, cause: Error) =>
  new ClawmeshError(
    'DENIED',
    `The broker at ${servers.join(', ')} knows this user no more: it was revoked or has expired.`,
    {
      hint: 'Ask whoever runs the mesh for a new invitation (clawmesh invite) and join again in another data folder (--data DIR): what was revoked comes back never.',
      cause,
    },
  )

/** A plain connection, tried once. */
export function connectOnce(
  { servers, user, name, tlsAuthority }: NatsOptions,
  answerWithinMs = soonMs,
): Promise<NatsConnection> {
  // Names of machines say nothing to the mesh's authority, which certifies brokers and nothing else; to any other they say all.
  const own = tlsAuthority === undefined ? undefined : { ca: tlsAuthority, checkServerIdentity: () => undefined }
  // Whoever is to be met by TLS and does not offer it is not met.
  const tls = own ?? (servers.some((server) => server.startsWith('tls:')) ? {} : undefined)
  return connect({
    servers,
    name,
    authenticator: jwtAuthenticator(user.token, new TextEncoder().encode(user.seed)),
    ...(user.inbox === undefined ? {} : { inboxPrefix: user.inbox }),
    ...(tls ? { tls } : {}),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    reconnectJitter: 50,
    waitOnFirstConnect: false,
    timeout: answerWithinMs,
    // A cable that was pulled says nothing: a broker that does not answer twice is looked for anew.
    pingInterval: 5000,
    maxPingOut: 2,
    noAsyncTraces: true,
  })
}

export class NatsTransport implements Transport {
  readonly #connection: NatsConnection
  readonly #listeners = new Set<(connected: boolean) => void>()
  readonly #inbox: string | undefined
  readonly #acknowledgements: Acknowledgements
  #connected = true

  constructor(connection: NatsConnection, inbox?: string) {
    this.#connection = connection
    this.#inbox = inbox
    this.#acknowledgements = new Acknowledgements(connection, inbox)
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
    const onConnection = (listener: (connected: boolean) => void) => this.onConnection(listener)
    return openNatsBucket(this.#connection, name, this.#acknowledgements, onConnection, this.#inbox)
  }

  log(stream: string): RemovableLog {
    return new NatsLog(this.#connection, stream, this.#acknowledgements)
  }

  onConnection(listener: (connected: boolean) => void): Subscription {
    this.#listeners.add(listener)
    listener(this.#connected)
    return { unsubscribe: () => this.#listeners.delete(listener) }
  }

  /** Milliseconds to the broker and back. Rejects while there is none. */
  async roundTrip(): Promise<number> {
    const begun = performance.now()
    await this.#connection.flush()
    return performance.now() - begun
  }

  /** Resolves when the connection has ended for good, with the reason if it was not closed by us: the broker turned this user away. */
  async ended(): Promise<Error | undefined> {
    const reason = await this.#connection.closed()
    return reason ?? undefined
  }

  /** Asks whoever answers on a subject, outside the mesh's own messages. */
  async ask(subject: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    try {
      return (await this.#connection.request(subject, bytes, { timeout: timeoutMs })).data
    } catch (cause) {
      throw unreachable(cause)
    }
  }

  async answer(subject: string, reply: (bytes: Uint8Array) => Promise<Uint8Array>): Promise<Subscription> {
    const subscription = this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (!error) void reply(message.data).then((bytes) => message.respond(bytes))
      },
    })
    await this.#reached()
    return { unsubscribe: () => subscription.unsubscribe() }
  }

  /** Tells the broker that an account has changed: at once, and without a restart. Only a user of its own account may. */
  async changeAccount(token: string): Promise<void> {
    const answer = await this.ask('$SYS.REQ.CLAIMS.UPDATE', new TextEncoder().encode(token), reachWithinMs)
    const { error } = claimsAnswer.parse(JSON.parse(new TextDecoder().decode(answer)))
    if (error === undefined) return
    throw new ClawmeshError(
      'BROKER_UNAVAILABLE',
      `The broker did not take the change: ${error.description ?? 'no reason'}.`,
    )
  }

  /** Makes the buckets of a mesh and the stream of its dead letters if they are not there, each on that many brokers. Only the authority may. */
  async provideBuckets(addresses: Addresses, replicas = 1): Promise<void> {
    const { directory, tasks, approvals, memory, mail, deadStream, deadSubjects } = addresses
    for (const bucket of [directory, tasks, approvals, memory, mail])
      await provideBucket(this.#connection, bucket, replicas)
    await provideBounded(this.#connection, deadStream, deadSubjects, deadLimits, replicas)
  }

  /** Makes the audit stream of a mesh if it is not there, in the account of this connection. */
  async provideAudit({ auditStream, auditSubjects }: Addresses, replicas = 1): Promise<void> {
    await provideLog(this.#connection, auditStream, auditSubjects, replicas)
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }

  async #followStatus(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === 'disconnect') this.#tell(false)
      if (status.type === 'reconnect') this.#tell(true)
      if (status.type === 'error' && status.error instanceof PermissionViolationError)
        this.#acknowledgements.refused(status.error)
    }
    this.#acknowledgements.close()
  }

  #tell(connected: boolean): void {
    if (connected === this.#connected) return
    this.#connected = connected
    for (const listener of this.#listeners) listener(connected)
  }
}
