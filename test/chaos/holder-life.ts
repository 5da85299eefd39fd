/**
 * One life of a process that holds what others take part in, and dies when it is killed.
 *
 *     node holder-life.js debate FOLDER BROKER_URL USER    holds a debate of v0, v1 and v2 that is kept as `sum`, and says each vote that is recorded
 *     node holder-life.js agent FOLDER BROKER_URL USER     hosts the agent `clerk`, whose payments are lines in a file, and says when it is there
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { addressesOf } from '../../mesh/address.js'
import { joinMesh } from '../../mesh/node.js'
import { openAuthority } from '../../mesh/seal/authority.js'
import { enrol } from '../../mesh/seal/credentials.js'
import { openTasks } from '../../mesh/task/tasks.js'
import { connectNats } from '../../mesh/transport/nats.js'
import { agent } from '../../nodes/agents/agent/agent.js'
import { ownTool } from '../../nodes/agents/agent/own-tool.js'
import { debate } from '../../nodes/agents/debate/debate.js'

export const sum = {
  question: 'What is 6 times 7?',
  voters: ['v0', 'v1', 'v2'].map((name) => ({ name })),
  rounds: 1,
  early: false,
}

export const paymentsIn = (folder: string): string => join(folder, 'payments')

/** Its payments need the word of a person. */
export const clerkOf = (folder: string) => ({
  name: 'clerk',
  instructions: 'Pay.',
  policy: { pay: 'interrupt' } as const,
  tools: [
    ownTool({
      name: 'pay',
      description: 'Pays a bill.',
      args: z.object({ euros: z.number() }),
      runs: 'in-process',
      run: ({ euros }) => {
        appendFileSync(paymentsIn(folder), `${euros}\n`)
        return 'paid'
      },
    }),
    ownTool({
      name: 'look',
      description: 'Looks.',
      args: z.object({}),
      runs: 'in-process',
      run: () => {
        appendFileSync(paymentsIn(folder), 'looked\n')
        return 'two bills'
      },
    }),
  ],
})

const userSchema = z.object({ token: z.string(), seed: z.string() })

async function live([what = '', folder = '', url = '', user = '']: string[]): Promise<void> {
  const authority = openAuthority(join(folder, 'authority'), Date.now())
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const connect = () => connectNats({ servers: [url], user: userSchema.parse(JSON.parse(user)), name: 'holder' })
  const credentials = enrol(authority, { name: `holder-${process.pid}`, roles: ['supervisor', 'worker'] }, Date.now())
  const node = await joinMesh({ credentials, transport: await connect() })
  const tasks = await openTasks({ transport: await connect(), addresses, key: authority.tasksKey, by: node.name })
  const say = (text: string) => process.stdout.write(`${text}\n`)
  if (what === 'agent') {
    await node.spawn(agent(node, { ...clerkOf(folder), tasks }))
    say('there')
    return
  }
  await node.directory.wait(() => sum.voters.every(({ name }) => node.find(name)) || undefined, 60_000)
  await debate(node, sum, {
    tasks,
    id: 'sum',
    onEvent: (event) => event.type === 'voted' && say(event.voter),
  })
}

if (process.argv[1]?.endsWith('holder-life.js')) await live(process.argv.slice(2))
