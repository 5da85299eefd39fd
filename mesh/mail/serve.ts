/** The office on a node of the authority, one in a mesh; and what is done with mail where the mesh stands still. */
import { z } from 'zod'
import { actor, on } from '../actor/actor.js'
import type { MeshNode } from '../node.js'
import type { Bucket } from '../transport/transport.js'
import { mailKey } from './mail.js'
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

/** `ForgetMail`, where there is no office. */
export async function forgetMail({ bucket, secret }: MailStore, tasks: ReadonlySet<string>): Promise<number> {
  const places = new Places(bucket, mailKey(secret))
  let count = 0
  for (const { place, standing } of (await places.read()).standing) {
    if (standing.state !== 'waiting' || !tasks.has(standing.mail.trace)) continue
    const { id, what, deadline: until } = standing.mail
    await places.write(place, { state: 'taken', id, what, until }, AbortSignal.timeout(forgetWithinMs))
    count += 1
  }
  return count
}
