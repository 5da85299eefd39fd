/** The office on a node of the authority; one in a mesh. */
import { z } from 'zod'
import { actor, on } from '../actor/actor.js'
import type { MeshNode } from '../node.js'
import type { Bucket } from '../transport/transport.js'
import { mailKey } from './mail.js'
import { KeepMail, officeName } from './messages.js'
import { Office } from './office.js'
import { Places } from './places.js'

/** Each waits in its handler until the broker has it. */
const atOnce = 256

/** `secret`: that of the tasks, 32 bytes that only the authority's machine has. The node needs the role authority. */
export async function serveMail(
  node: MeshNode,
  { bucket, secret }: { bucket: Bucket; secret: Uint8Array },
): Promise<void> {
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
      ]
    },
    { args: z.undefined(), concurrency: atOnce },
  )
  await node.spawn(desk)
}
