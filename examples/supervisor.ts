/** Three workers under a supervisor; one crashes in the middle of its work and goes on. After `npm run build`: node dist/examples/supervisor.js */
import { actor, localMesh, message, on, supervise } from 'clawmesh'
import { z } from 'zod'

const Square = message('square', { request: z.number(), reply: z.number() })

let fuse = true
const squarer = actor('squarer', () => [
  on(Square, (number) => {
    if (number === 7 && fuse) {
      fuse = false
      throw new Error('a fuse blew')
    }
    return number * number
  }),
])

const mesh = await localMesh({ hosts: [squarer] })
const workers = ['worker-1', 'worker-2', 'worker-3']
const supervisor = await supervise(mesh, {
  name: 'foreman',
  children: workers.map((name) => ({ name, definition: 'squarer' })),
  onRestart: (child, _, reason) => process.stdout.write(`${child} is back: ${reason}\n`),
})

/** Squaring twice does no harm, so a number that was lost with its worker is simply given out again. */
async function square(number: number): Promise<number> {
  const worker = mesh.ref(workers[number % workers.length] ?? '')
  return worker.ask(Square, number).catch(() => worker.ask(Square, number))
}

const squares = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8, 9].map(square))
process.stdout.write(`${squares.join(' ')}\n`)
await supervisor.stop()
await mesh.close()
