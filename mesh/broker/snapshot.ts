/**
 * One stream as a file, message for message and number for number, in the words of NATS's own snapshots: to be carried from one server to others.
 * What the file holds is as sealed as what the stream held.
 */
import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import { createInbox, Empty, type Msg, type NatsConnection } from '@nats-io/transport-node'
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'

const stateSchema = z.looseObject({ messages: z.number(), first_seq: z.number(), last_seq: z.number() })
const errorSchema = z.object({ error: z.object({ code: z.number(), description: z.string() }) })
const snapshotSchema = z.object({ config: z.looseObject({ num_replicas: z.number() }), state: stateSchema })
const restoreSchema = z.object({ deliver_subject: z.string() })
const streamSchema = z.object({ state: stateSchema })
const namesSchema = z.object({ streams: z.array(z.string()).nullable(), total: z.number() })

export interface Snapshot extends z.output<typeof snapshotSchema> {
  readonly stream: string
  readonly file: string
}

const chunkBytes = 128 * 1024
const answerWithinMs = 30_000
/** One that leads answers such a question at once. */
const leaderAnswersWithinMs = 1000
const askAgainMs = 200
/** Nothing of a stream comes for so long: the server has gone. */
const silentMs = 30_000

/** Of the account of this connection. */
export async function streamNames(connection: NatsConnection): Promise<string[]> {
  const names: string[] = []
  for (;;) {
    const page = await ask(connection, 'STREAM.NAMES', { offset: names.length }, namesSchema)
    names.push(...(page.streams ?? []))
    if (names.length >= page.total || !page.streams?.length) return names
  }
}

/** Resolves when the file is on disk. */
export async function takeSnapshot(connection: NatsConnection, stream: string, file: string): Promise<Snapshot> {
  const deliver_subject = createInbox()
  const out = openSync(file, 'w', 0o600)
  try {
    let settle: (error?: Error) => void = () => undefined
    const ended = new Promise<void>((resolve, reject) => {
      settle = (error) => (error ? reject(error) : resolve())
    })
    ended.catch(() => undefined)
    const silence = setTimeout(() => settle(broken(stream, 'the broker fell silent')), silentMs)
    const subscription = connection.subscribe(deliver_subject, {
      callback: (error, message: Msg) => {
        silence.refresh()
        if (error) return settle(error)
        if (message.data.length === 0) return settle()
        writeSync(out, message.data)
        message.respond()
      },
    })
    try {
      const request = { deliver_subject, no_consumers: true, chunk_size: chunkBytes }
      const { config, state } = await ask(connection, `STREAM.SNAPSHOT.${stream}`, request, snapshotSchema)
      await ended
      fsyncSync(out)
      return { stream, file, config, state }
    } finally {
      clearTimeout(silence)
      subscription.unsubscribe()
    }
  } finally {
    closeSync(out)
  }
}

/** Makes the stream of it, on one server; rejects if that does not hold what the snapshot was taken of. */
export async function restore(connection: NatsConnection, { stream, file, config, state }: Snapshot): Promise<void> {
  const request = { config: { ...config, num_replicas: 1 }, state }
  // Servers that have just been started choose a leader first; until then they say that there is none, or nothing. To ask again what changes nothing does no harm.
  await patiently(() => ask(connection, 'STREAM.NAMES', {}, namesSchema, leaderAnswersWithinMs), isUnavailable)
  // Nor what was refused: their storage may not be ready for it at that moment.
  const { deliver_subject } = await patiently(
    () => ask(connection, `STREAM.RESTORE.${stream}`, request, restoreSchema),
    isRefused,
  )
  const from = openSync(file, 'r')
  try {
    const chunk = Buffer.alloc(chunkBytes)
    for (let length = readSync(from, chunk); length > 0; length = readSync(from, chunk))
      await connection.request(deliver_subject, chunk.subarray(0, length), { timeout: answerWithinMs })
  } finally {
    closeSync(from)
  }
  const answer = await connection.request(deliver_subject, Empty, { timeout: answerWithinMs })
  const { messages, first_seq, last_seq } = read(answer.json(), stream, streamSchema).state
  if (messages !== state.messages || first_seq !== state.first_seq || last_seq !== state.last_seq)
    throw broken(
      stream,
      `it holds ${messages} messages up to number ${last_seq} instead of ${state.messages} up to ${state.last_seq}`,
    )
}

async function patiently<T>(ask: () => Promise<T>, isForNow: (error: ClawmeshError) => boolean): Promise<T> {
  for (const until = performance.now() + answerWithinMs; ; ) {
    try {
      return await ask()
    } catch (error) {
      if (!isForNow(ClawmeshError.from(error)) || performance.now() > until) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, askAgainMs))
  }
}

const isUnavailable = ({ data }: ClawmeshError): boolean => data['unavailable'] === true
const isRefused = ({ data }: ClawmeshError): boolean => data['refused'] === true

async function ask<T>(
  connection: NatsConnection,
  what: string,
  request: object,
  answer: z.ZodType<T>,
  timeout = answerWithinMs,
): Promise<T> {
  const subject = `$JS.API.${what}`
  const { data } = await connection.request(subject, JSON.stringify(request), { timeout }).catch((cause) => {
    throw broken(what, String(cause), { unavailable: true })
  })
  return read(JSON.parse(new TextDecoder().decode(data)), what, answer)
}

function read<T>(said: unknown, what: string, schema: z.ZodType<T>): T {
  const refused = errorSchema.safeParse(said).data
  if (refused) {
    const { description, code } = refused.error
    throw broken(what, description, {
      unavailable: code === 503,
      refused: code === 503 || /temp storage/.test(description),
    })
  }
  return schema.parse(said)
}

const broken = (what: string, why: string, data: { unavailable?: boolean; refused?: boolean } = {}) =>
  new ClawmeshError('BROKER_UNAVAILABLE', `A stream could not be carried over (${what}): ${why}.`, {
    hint: 'Nothing was changed: the mesh goes on with the brokers that it had. Try again.',
    data,
  })
