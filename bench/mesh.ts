/**
 * The cost of a sealed ask between two nodes over NATS: against the plain client's request to a plain responder, and against unencrypted Moleculer, on the same
 * broker and with both sides in this process; and against our own mesh without its seals, each in a process of its own. All in one run, taken in turns.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type NatsMesh, natsMesh } from '../test/kit/mesh.js'
import type { Report } from './figure.js'
import { Echo, echo } from './mesh/echo.js'
import { moleculerPair } from './mesh/moleculer.js'
import { perSecond } from './mesh/pace.js'
import type { Order } from './mesh/pair.js'

const rounds = 3
const small = 256
const large = 16 * 1024

type Pace = (inFlight: number, count: number) => Promise<number>

export default async function bench(report: Report): Promise<void> {
  const mesh = await natsMesh()
  const here = await mesh.join('here')
  const there = await mesh.join('there')
  await there.spawn(echo)
  const plain = await plainPair(mesh)
  const ref = here.ref('echo')
  try {
    for (const size of [small, large]) {
      const body = new Uint8Array(size)
      const sealed: Pace = (inFlight, count) => perSecond(() => ref.ask(Echo, body), inFlight, count)
      const request: Pace = (inFlight, count) => perSecond(() => plain.request(body), inFlight, count)
      for (const inFlight of [1, 64, 256])
        report(
          await compare(
            { what: 'plain request', size, inFlight, aim: toRequest[`${size} ${inFlight}`] },
            sealed,
            request,
          ),
        )
    }
    const moleculer = await moleculerPair(mesh)
    if (typeof moleculer === 'string') {
      process.stderr.write(`Moleculer is left out: it could not be installed (${moleculer}).\n`)
    } else {
      const body = new Uint8Array(small)
      const text = 'x'.repeat(small)
      const sealed: Pace = (inFlight, count) => perSecond(() => ref.ask(Echo, body), inFlight, count)
      const theirs: Pace = (inFlight, count) => perSecond(() => moleculer.ask(text), inFlight, count)
      for (const inFlight of [1, 64, 256])
        report(
          await compare(
            { what: 'Moleculer 0.15, unencrypted', size: small, inFlight, aim: inFlight === 1 ? undefined : 1 },
            sealed,
            theirs,
          ),
        )
      await moleculer.close()
    }
  } finally {
    await plain.close()
    await mesh.close()
  }
  await againstOwn(report)
}

const toRequest: Record<string, number> = { '256 1': 1, '256 64': 1.5, '256 256': 2 }
const toOwn: [size: number, inFlight: number, aim: number][] = [
  [small, 1, 0.9],
  [small, 64, 0.75],
  [large, 64, 0.6],
]

async function againstOwn(report: Report): Promise<void> {
  const preload = fileURLToPath(new URL('./mesh/plaintext.js', import.meta.url))
  const pairs = await Promise.all([openPair([]), openPair(['--import', preload])])
  const [sealed, open] = pairs
  try {
    for (const [size, inFlight, aim] of toOwn) {
      const pace =
        (pair: ChildProcess): Pace =>
        (_, count) =>
          order(pair, { size, inFlight, count })
      report(await compare({ what: 'our own without seals', size, inFlight, aim }, pace(sealed), pace(open)))
    }
  } finally {
    for (const pair of pairs) pair.disconnect()
  }
}

async function openPair(flags: string[]): Promise<ChildProcess> {
  const pair = fork(fileURLToPath(new URL('./mesh/pair.js', import.meta.url)), [], { execArgv: flags })
  await once(pair, 'message')
  return pair
}

async function order(pair: ChildProcess, wanted: Order): Promise<number> {
  const answer = once(pair, 'message')
  pair.send(wanted)
  const [rate] = await answer
  return Number(rate)
}

interface Comparison {
  what: string
  size: number
  inFlight: number
  aim: number | undefined
}

/** The best of several rounds of each, in turns, so that what else the machine does falls on both. */
async function compare({ what, size, inFlight, aim }: Comparison, ours: Pace, theirs: Pace) {
  const count = (size === large ? 1500 : 6000) / (inFlight === 1 ? 4 : 1)
  const rates: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds; round += 1) {
    rates[0].push(await ours(inFlight, count))
    rates[1].push(await theirs(inFlight, count))
  }
  const [value, baseline] = [Math.max(...rates[0]), Math.max(...rates[1])]
  const ratio = value / baseline
  const metric = `sealed ask ${size} B, ${inFlight} in flight, against ${what}`
  const figure = { metric, value, unit: '1/s', baseline, ratio }
  return aim === undefined ? figure : { ...figure, aim: `≥ ${aim}`, ok: ratio >= aim }
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
