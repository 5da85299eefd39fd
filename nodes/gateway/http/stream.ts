/** Streams of events that can be taken up again: each has an id, and whoever comes back says which one he saw last. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ClawmeshError } from '../../../policies/errors.js'
import { EventStream } from './event-stream.js'
import { Refusal, refusalOf } from './refusal.js'

export interface Follow {
  request: FastifyRequest
  reply: FastifyReply
  /** The gateway is closing. */
  closing: AbortSignal
  /** Throws when whoever follows may no more: asked before each event. */
  check: () => void
  slots: Slots
}

const mostOfKey = 32

/** Connections are few, so one key must not hold all of them. */
export class Slots {
  readonly #held = new Map<string, number>()

  /** Gives the slot back by what it returns. Throws RATE_LIMITED. */
  take(name: string): () => void {
    const held = this.#held.get(name) ?? 0
    if (held >= mostOfKey)
      throw new ClawmeshError('RATE_LIMITED', `This key follows ${held} streams already.`, { hint: 'End one of them.' })
    this.#held.set(name, held + 1)
    return () => {
      const left = (this.#held.get(name) ?? 1) - 1
      if (left > 0) this.#held.set(name, left)
      else this.#held.delete(name)
    }
  }
}

export interface Told {
  id: string
  data: unknown
}

const beatMs = 15_000
const openAfterMs = 100

/** What the last event had that was seen; undefined for whoever begins. */
export function lastSeen({ headers }: FastifyRequest): string | undefined {
  const given = headers['last-event-id']
  return typeof given === 'string' && given !== '' ? given : undefined
}

/** Of ids that are numbers, `none` for whoever begins. Throws 400 for what is no number. */
export function lastNumber(request: FastifyRequest, none: number): number {
  const given = lastSeen(request)
  if (given === undefined) return none
  if (/^\d{1,15}$/.test(given)) return Number(given)
  throw new Refusal(400, 'MESSAGE_INVALID', 'The request cannot be used: Last-Event-ID is no id of this stream.')
}

/** Sends what comes until it ends, or whoever reads is gone. What fails is the last event. */
export async function sendEvents(
  { request, reply, closing, check, slots }: Follow,
  source: (signal: AbortSignal) => AsyncIterable<Told>,
): Promise<FastifyReply> {
  const release = slots.take(request.principal?.name ?? '')
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  if (request.raw.socket.destroyed) gone.abort()
  const signal = AbortSignal.any([closing, gone.signal])
  const stream = new EventStream(reply, signal)
  const beat = setInterval(() => {
    try {
      check()
      stream.beat()
    } catch {
      gone.abort()
    }
  }, beatMs)
  try {
    const events = source(signal)[Symbol.asyncIterator]()
    // The first answer says whether there is anything to follow; a stream that has nothing yet is opened all the same.
    const first = events.next()
    const opened = setTimeout(() => stream.open(), openAfterMs)
    for (let next = await first.finally(() => clearTimeout(opened)); !next.done; next = await events.next()) {
      check()
      await stream.send(JSON.stringify(next.value.data), next.value.id)
    }
    stream.open()
  } catch (error) {
    if (!stream.hasBegun) throw error
    if (!signal.aborted) await stream.send(JSON.stringify(refusalOf(error).body))
  } finally {
    release()
    clearInterval(beat)
    gone.abort()
    stream.end()
  }
  return reply
}
