/**
 * A host of its own, as `hosts.ts` starts it: joins by an invitation and hosts agents whose effects are lines of a file. Asked on stdin who an agent is,
 * it says which node answers to that name here.
 */
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import { actor, on } from '../../../mesh/actor/actor.js'
import { message, nothing } from '../../../mesh/actor/message.js'
import { openChain } from '../../../mesh/audit/chain.js'
import { joinMesh, type MeshNode } from '../../../mesh/node.js'
import { readCredentials } from '../../../mesh/seal/credentials.js'
import { connectNats } from '../../../mesh/transport/nats.js'
import { readInvitation } from '../../../nodes/authority/invitation.js'
import { openDataFolder } from '../../../nodes/data-folder.js'
import { readAccess } from '../../../nodes/member/access.js'
import { enrolBy } from '../../../nodes/member/enrol.js'
import { nodeFiles } from '../../../nodes/member/member.js'

/** Takes a while, then intends, then does: adds its line to the file. */
export const Act = message('hosts.act', {
  request: z.object({ id: z.string(), file: z.string(), afterMs: z.number() }),
  reply: z.string(),
})
export const Who = message('hosts.who', { request: nothing, reply: z.string() })

const agent = (node: MeshNode) =>
  actor(
    'agent',
    (self) => [
      on(Who, () => node.name),
      on(Act, async ({ id, file, afterMs }, { signal }) => {
        await setTimeout(afterMs, undefined, { signal })
        await node.audit.intend({ kind: 'action.intended', trace: 'hosts', actor: self.name, facts: { id } })
        appendFileSync(file, `${id} ${node.name}\n`)
        return node.name
      }),
    ],
    { args: z.unknown(), concurrency: 16 },
  )

async function run(data: string, invitation: string, wished: string): Promise<void> {
  const folder = openDataFolder(data)
  const name = await enrolBy(readInvitation(invitation, Date.now()), folder, { name: wished, roles: ['worker'] })
  const files = nodeFiles(folder, name)
  const credentials = readCredentials(files.credentials, undefined)
  const transport = await connectNats({ ...readAccess(files.access), name: credentials.certificate.holder })
  const chain = openChain(files.chain)
  const node = await joinMesh({ credentials, transport, chain, hosts: (self) => [agent(self)] })
  process.stdout.write('joined\n')
  for await (const asked of createInterface({ input: process.stdin })) {
    const answer = await node
      .ref(asked)
      .ask(Who, null)
      .catch((error: Error) => `nobody: ${error.message}`)
    process.stdout.write(`${asked} is at ${answer}\n`)
  }
  await node.close()
}

const [, , data, invitation, name] = process.argv
if (data !== undefined && invitation !== undefined && name !== undefined) await run(data, invitation, name)
