/**
 * The cost of a sealed ask between two nodes over NATS, against the plain client's request to a plain responder on the same broker, in the same run.
 * Both sides live in this process, so a ratio compares the same number of hops on the same cores.
 */

import { z } from 'zod'
import { actor, message, on } from '../mesh/index.js'
import { type NatsMesh, natsMesh } from '../test/kit/mesh.js'
import type { Report } from './figure.js'

const Echo = message('bench.echo', { request: z.instanceof(Uint8Array), reply: z.instanceof(Uint8Array) })
const echo = actor('echo', () => [on(Echo, (bytes) => bytes)], { args: z.undefined(), mailbox: 4096, concurrency: 512 })

const warmUp = 500
const rounds = 3

export default async function bench(report: Report): Promise<void> {
  const mesh = await natsMesh()
  const here = await mesh.join('here')
  const there = await mesh.join('there')
  await there.spawn(echo)
  const plain = await plainPair(mesh)
  const ref = here.ref('echo')
  try {
    for (const size of [256, 16 * 1024]) {
      const body = new Uint8Array(size)
      const sealed = () => ref.ask(Echo, body)
      const request = () => plain.request(body)
      for (const inFlight of [1, 64, 256]) {
        const count = size > 1000 ? 1500 : 6000
        const ours: number[] = []
        const theirs: number[] = []
        // Taken in turns, so that what else the machine does falls on both.
        for (let round = 0; round < rounds; round += 1) {
          ours.push(await perSecond(sealed, inFlight, count / (inFlight === 1 ? 4 : 1)))
          theirs.push(await perSecond(request, inFlight, count / (inFlight === 1 ? 4 : 1)))
        }
        const [value, baseline] = [Math.max(...ours), Math.max(...theirs)]
        const aim = aims[`${size} ${inFlight}`]
        const ratio = value / baseline
        const figure = {
          metric: `sealed ask ${size} B, ${inFlight} in flight, against plain request`,
          value,
          unit: '1/s',
          baseline,
          ratio,
        }
        report(aim === undefined ? figure : { ...figure, aim: `≥ ${aim}`, ok: ratio >= aim })
      }
    }
  } finally {
    await plain.close()
    await mesh.close()
  }
}

const aims: Record<string, number> = { '256 1': 1, '256 64': 1.5, '256 256': 2 }

async function perSecond(call: () => Promise<unknown>, inFlight: number, count: number): Promise<number> {
  const run = async (calls: number) => {
    let left = calls
    const lane = async () => {
      while (left-- > 0) await call()
    }
    await Promise.all(Array.from({ length: inFlight }, lane))
  }
  await run(warmUp)
  const begun = performance.now()
  await run(count)
  return (1000 * count) / (performance.now() - begun)
}

async function plainPair(mesh: NatsMesh) {
  const open = async () => mesh.plain(await mesh.accounts.administrator('mesh'))
  const [asking, answering] = await Promise.all([open(), open()])
  answering.subscribe('bench.plain', { callback: (_, message) => void message.respond(message.data) })
  await answering.flush()
  return {
    request: (body: Uint8Array) => asking.request('bench.plain', body, { timeout: 10_000 }),
    close: async () => {
      await asking.close()
      await answering.close()
    },
  }
}
