/** One actor on a mesh of one process. After `npm run build`: node dist/examples/hello.js */
import { actor, localMesh, message, on } from 'clawmesh'
import { z } from 'zod'

const Greet = message('greet', { request: z.string(), reply: z.string() })

const greeter = actor('greeter', () => {
  let greeted = 0
  return [on(Greet, (name) => `Hello ${name}, you are number ${++greeted}.`)]
})

const mesh = await localMesh()
const ref = await mesh.spawn(greeter)
for (const name of ['Ada', 'Grace']) process.stdout.write(`${await ref.ask(Greet, name)}\n`)
await mesh.close()
