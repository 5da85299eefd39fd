import { collect } from '../inference/backend.js'
import { shippedModelFolder } from '../inference/models.js'
import { OnnxBackend } from '../inference/onnx/backend.js'
import { type Offer, place, type Speed } from '../inference/place.js'
import type { Report } from './figure.js'

/** The built-in backend under several requests at once, and placement on a simulated fleet. */
export default async function bench(report: Report): Promise<void> {
  await benchConcurrency(report)
  benchPlacement(report)
}

/** The same requests one after the other and sixteen at once: what computing them side by side gains. */
async function benchConcurrency(report: Report): Promise<void> {
  const backend = await OnnxBackend.open({ folder: shippedModelFolder, slots: 16 })
  try {
    const speed = await backend.measured
    if (speed) report({ metric: 'prefill, as measured after the load', value: speed.prefill, unit: 'tok/s' })
    if (speed) report({ metric: 'decode, as measured after the load', value: speed.decode, unit: 'tok/s' })
    const ask = async (): Promise<number> => {
      const messages = [{ role: 'user' as const, content: 'say the letters' }]
      const { usage } = await collect(backend.generate({ messages, maxTokens: 64, temperature: 1, seed: 5 }))
      return usage?.outputTokens ?? 0
    }
    await ask()
    const alone = await rate(async () => {
      let tokens = 0
      for (let i = 0; i < 16; i++) tokens += await ask()
      return tokens
    })
    const together = await rate(async () =>
      (await Promise.all(Array.from({ length: 16 }, ask))).reduce((sum, tokens) => sum + tokens, 0),
    )
    const ratio = together / alone
    report({
      metric: '16 at once against one by one',
      value: together,
      unit: 'tok/s',
      baseline: alone,
      ratio,
      aim: '≥ 5 times',
      ok: ratio >= 5,
    })
  } finally {
    await backend.dispose()
  }
}

async function rate(work: () => Promise<number>): Promise<number> {
  const begun = performance.now()
  const tokens = await work()
  return (1000 * tokens) / (performance.now() - begun)
}

/** A node of the simulation: how fast it is, and when each of its slots is free. */
interface Machine {
  offer: Offer
  free: number[]
}

const fleet = { nodes: 200, slots: 4, fast: { prefill: 4000, decode: 100 }, slow: { prefill: 1000, decode: 25 } }
const load = { requests: 20_000, promptTokens: 600, outputTokens: 150, deadlineMs: 20_000 }

/**
 * Goodput, in answers within the deadline, on 200 nodes of which every other one is four times as fast, at 80 % of what all together can do: placed by what is
 * known a second late, against taking turns. Simulated: arrivals are random, service times are those of the speeds; nothing else is modelled.
 */
function benchPlacement(report: Report): void {
  const placed = simulate(
    (machines, demand, random) =>
      place(
        demand,
        machines.map(({ offer }) => offer),
        random,
      ).chosen?.node,
  )
  let turn = 0
  const inTurn = simulate((machines) => machines[turn++ % machines.length]?.offer.node)
  const ratio = placed / inTurn
  report({
    metric: 'goodput on 200 nodes 4:1, placed against round-robin',
    value: placed,
    unit: '%',
    baseline: inTurn,
    ratio,
    aim: '≥ 1.5 times',
    ok: ratio >= 1.5,
  })
}

type Choose = (
  machines: readonly Machine[],
  demand: Parameters<typeof place>[0],
  random: () => number,
) => string | undefined

function simulate(choose: Choose): number {
  const random = lcg(7)
  const machines = Array.from({ length: fleet.nodes }, (_, i) =>
    machine(`n${i}`, i % 2 === 0 ? fleet.fast : fleet.slow),
  )
  const byName = new Map(machines.map((each) => [each.offer.node, each]))
  const capacity = machines.reduce(
    (sum, { offer }) => sum + fleet.slots / serviceMs(offer.speed, load.promptTokens, load.outputTokens),
    0,
  )
  let [now, seenAt, good] = [0, 0, 0]
  for (let i = 0; i < load.requests; i++) {
    now += -Math.log(1 - random()) / (capacity * 0.8)
    // What nodes say of themselves is heard once a second.
    if (now - seenAt > 1000) {
      seenAt = now
      for (const { offer, free } of machines) {
        offer.running = Math.min(fleet.slots, free.filter((at) => at > now).length)
        offer.queued = free.length - fleet.slots > 0 ? free.filter((at) => at > now).length - offer.running : 0
      }
    }
    const promptTokens = Math.ceil(load.promptTokens * 2 * random())
    const outputTokens = Math.ceil(load.outputTokens * 2 * random())
    const chosen = byName.get(
      choose(machines, { zones: ['mesh'], modalities: ['text'], promptTokens, outputTokens }, random) ?? '',
    )
    if (!chosen) continue
    const done = serve(chosen, now, serviceMs(chosen.offer.speed, promptTokens, outputTokens))
    if (done - now <= load.deadlineMs) good++
  }
  return Math.round((1000 * good) / load.requests) / 10
}

function machine(node: string, speed: Speed): Machine {
  const offer: Offer = {
    ...{
      node,
      model: 'm',
      zone: 'mesh',
      healthy: true,
      draining: false,
      modalities: ['text'],
      context: 8192,
      networkMs: 1,
    },
    ...{ slots: fleet.slots, running: 0, queued: 0, queuedTokens: 0, speed },
  }
  return { offer, free: [] }
}

/** Slots share the machine: each has a quarter of it while all are busy. */
function serviceMs(speed: Speed | undefined, promptTokens: number, outputTokens: number): number {
  return speed
    ? 1000 * (promptTokens / speed.prefill + outputTokens / speed.decode) * fleet.slots
    : Number.POSITIVE_INFINITY
}

/** When an answer that begins to wait now is done: the slot that is free first takes it. `free` has an entry for each answer not done yet. */
function serve(machine: Machine, now: number, ms: number): number {
  machine.free = machine.free.filter((at) => at > now).sort((a, b) => a - b)
  const begins = machine.free.length < fleet.slots ? now : (machine.free[machine.free.length - fleet.slots] ?? now)
  const done = begins + ms
  machine.free.push(done)
  return done
}

function lcg(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
