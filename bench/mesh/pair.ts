/** Two nodes and a broker in a process of their own, which asks as it is told over the pipe and says how many answers a second came. */
import { z } from 'zod'
import { natsMesh } from '../../test/kit/mesh.js'
import { Echo, echo } from './echo.js'
import { perSecond } from './pace.js'

const orderSchema = z.object({ size: z.number(), inFlight: z.number(), count: z.number() })
export type Order = z.output<typeof orderSchema>

const mesh = await natsMesh()
const here = await mesh.join('here')
const there = await mesh.join('there')
await there.spawn(echo)
const ref = here.ref('echo')
process.on('message', async (order) => {
  const { size, inFlight, count } = orderSchema.parse(order)
  const body = new Uint8Array(size)
  process.send?.(await perSecond(() => ref.ask(Echo, body), inFlight, count))
})
process.on('disconnect', () => void mesh.close().finally(() => process.exit(0)))
process.send?.('ready')
