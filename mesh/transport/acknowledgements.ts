/**
 * What brokers acknowledge of what is published to their streams: one inbox for all of a connection, a map of who waits, and the wheel that the deadlines of calls hang on, where
 * the client's `request` has a timer and a promise of its own for each.
 */
import { JetStreamApiError, type PubAck } from '@nats-io/jetstream'
import {
  ClosedConnectionError,
  createInbox,
  headers,
  type Msg,
  type NatsConnection,
  type PermissionViolationError,
  TimeoutError,
} from '@nats-io/transport-node'
import { Deadlines, type Expiring } from '../calls/deadlines.js'

interface Waiting extends Expiring {
  readonly subject: string
  resolve(acknowledgement: PubAck): void
  reject(error: Error): void
}

/** As the broker answers where nobody is there who could store it. */
const noResponders = 503

export class NobodyStores extends Error {
  constructor() {
    super('no broker is there that could store it')
    this.name = 'NobodyStores'
  }
}

export class Acknowledgements {
  readonly #connection: NatsConnection
  readonly #prefix: string | undefined
  readonly #deadlines = new Deadlines()
  readonly #waiting = new Map<string, Waiting>()
  #inbox: string | undefined
  #last = 0

  /** `prefix`: where this user may be answered. */
  constructor(connection: NatsConnection, prefix: string | undefined) {
    this.#connection = connection
    this.#prefix = prefix
  }

  /**
   * `header`: of JetStream, by its names there. Rejects with JetStreamApiError where the stream says no, NobodyStores, TimeoutError,
   * ClosedConnectionError, PermissionViolationError.
   */
  publish(
    subject: string,
    bytes: Uint8Array,
    header: Readonly<Record<string, string>>,
    withinMs: number,
  ): Promise<PubAck> {
    return new Promise((resolve, reject) => {
      this.#inbox ??= this.#listen()
      this.#last += 1
      const number = this.#last.toString(36)
      const end = () => {
        this.#waiting.delete(number)
        this.#deadlines.remove(waiting)
      }
      const waiting: Waiting = {
        slot: 0,
        subject,
        resolve: (acknowledgement) => {
          end()
          resolve(acknowledgement)
        },
        reject: (error) => {
          end()
          reject(error)
        },
        expire: () => waiting.reject(new TimeoutError()),
      }
      this.#waiting.set(number, waiting)
      this.#deadlines.add(waiting, withinMs)
      try {
        const named = headers()
        for (const [name, value] of Object.entries(header)) named.set(name, value)
        this.#connection.publish(subject, bytes, { reply: `${this.#inbox}.${number}`, headers: named })
      } catch (error) {
        waiting.reject(error as Error)
      }
    })
  }

  /** The broker does not let this connection publish there; of which message it says so, it does not tell. */
  refused(error: PermissionViolationError): void {
    for (const waiting of [...this.#waiting.values()]) if (waiting.subject === error.subject) waiting.reject(error)
  }

  /** The connection has ended for good. */
  close(): void {
    for (const waiting of [...this.#waiting.values()]) waiting.reject(new ClosedConnectionError())
  }

  #listen(): string {
    const inbox = createInbox(this.#prefix)
    this.#connection.subscribe(`${inbox}.*`, {
      callback: (error, message) => {
        const waiting = error ? undefined : this.#waiting.get(message.subject.slice(inbox.length + 1))
        // One that came too late was given up; the same is published again under its own id.
        if (waiting) settle(waiting, message)
      },
    })
    return inbox
  }
}

/** https://docs.nats.io/reference/reference-protocols/nats_api_reference */
function settle(waiting: Waiting, message: Msg): void {
  if (message.data.length === 0 && message.headers?.code === noResponders) return waiting.reject(new NobodyStores())
  try {
    const said = message.json<PubAck & { error?: ConstructorParameters<typeof JetStreamApiError>[0] }>()
    if (said.error) waiting.reject(new JetStreamApiError(said.error))
    else waiting.resolve(said)
  } catch (error) {
    waiting.reject(error as Error)
  }
}
