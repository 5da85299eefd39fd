/** An actor of one's own on a mesh that runs. Where `clawmesh up` runs: `clawmesh invite`. Anywhere: `node dist/examples/member.js INVITATION FOLDER`; a second one greets by the first. */
import { actor, joinByInvitation, message, on } from 'clawmesh'
import { z } from 'zod'

const Greet = message('greet', { request: z.string(), reply: z.string() })

const greeter = actor('greeter', () => {
  let greeted = 0
  return [on(Greet, (name) => `Hello ${name}, you are number ${++greeted}.`)]
})

const [invitation, data = 'greeter'] = process.argv.slice(2)
const { node, close } = await joinByInvitation({ data, invitation: invitation || undefined })
const ref = node.find('greeter') ? node.ref('greeter') : await node.spawn(greeter)
process.stdout.write(`${await ref.ask(Greet, node.name)}\n`)
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void close())
