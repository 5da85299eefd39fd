/** The office on a node of the authority, one in a mesh; and what is done with mail where the mesh stands still. */
import { z } from 'zod'
import { actor, on } from '../actor/actor.js'
import type { MeshNode } from '../node.js'
import { readCertificate } from '../seal/certificate.js'
import type { Bucket } from '../transport/transport.js'
import { mailKey, weightOf } from './mail.js'
import { ForgetMail, KeepMail, officeName } from './messages.js'
import { Office } from './office.js'
import { Places } from './places.js'

/** Each waits in its handler until the broker has it. */
const atOnce = 256
const forgetWithinMs = 30_000

export interface MailStore {
  bucket: Bucket
  /** That of the tasks, 32 bytes that only the authority's machine has. */
  secret: Uint8Array
}

/** The node needs the role authority. */
export async function serveMail(node: MeshNode, { bucket, secret }: MailStore): Promise<void> {
  const office = new Office(node, new Places(bucket, mailKey(secret)))
  const desk = actor(
    officeName,
    async ({ signal }) => {
      signal.addEventListener('abort', () => office.close())
      await office.begin()
      return [
        on(KeepMail, async (request, context) => {
          await office.keep(request, context)
          return null
        }),
        on(ForgetMail, ({ tasks }) => office.forget(new Set(tasks))),
      ]
    },
    { args: z.undefined(), concurrency: atOnce },
  )
  await node.spawn(desk)
}

export interface WaitingMail {
  id: string
  actor: string
  message: string
  /** The node that sent it, by its certificate. */
  from: string
  /** The task, or the empty string. */
  trace: string
  /** Of what it says, in bytes. */
  bytes: number
  /** Milliseconds since 1970: when it is a dead letter. */
  until: number
}

/** What waits, in the order in which it came, and how many places hold what does not open. Changes nothing; the office may be at work. */
export async function waitingMail(
  { bucket, secret }: MailStore,
  rootKey: Uint8Array,
): Promise<{ waiting: WaitingMail[]; unreadable: number }> {
  const { standing, unreadable } = await new Places(bucket, mailKey(secret)).read()
  const waiting = standing.flatMap(({ standing: found }): WaitingMail[] => {
    if (found.state !== 'waiting') return []
    const { id, actor: to, message, from, trace, deadline } = found.mail
    const { name } = readCertificate(from, rootKey)
    return [{ id, actor: to, message, from: name, trace, bytes: weightOf(found.mail), until: deadline }]
  })
  return { waiting, unreadable }
}

/** `ForgetMail`, where there is no office. */
export async function forgetMail({ bucket, secret }: MailStore, tasks: ReadonlySet<string>): Promise<number> {
  const places = new Places(bucket, mailKey(secret))
  let count = 0
  for (const { place, standing } of (await places.read()).standing) {
    if (standing.state !== 'waiting' || !tasks.has(standing.mail.trace)) continue
    await places.close(place, standing.mail, AbortSignal.timeout(forgetWithinMs))
    count += 1
  }
  return count
}
