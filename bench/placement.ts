/** Placement on a simulated fleet, and what a question costs on its way through the mesh to a model on another node, over the same question to the backend itself. */
import { type Backend, collect, type GenerateRequest } from '../inference/backend.js'
import { shippedModelFolder } from '../inference/models.js'
import { OnnxBackend } from '../inference/onnx/backend.js'
import { type Offer, place, type Speed } from '../inference/place.js'
import { Generate, inferenceName } from '../inference/service.js'
import { serveModel } from '../nodes/process/serve.js'
import { eventually } from '../test/kit/eventually.js'
import { natsMesh } from '../test/kit/mesh.js'
import type { Report } from './figure.js'

const questions = 300
/** A process that has just started runs much of its code for the first time; one that has run for a while does not. */
const cold = 30
const warm = 800

export default async function bench(report: Report): Promise<void> {
  benchFleet(report)
  const backend = await OnnxBackend.open({ folder: shippedModelFolder })
  try {
    await benchMesh(report, backend)
  } finally {
    await backend.dispose()
  }
}

const question: GenerateRequest = { messages: [{ role: 'user', content: '12 + 7' }], maxTokens: 16, temperature: 0 }

/** Two nodes and a broker of their own; the model computes in a process of its own both ways. In turns, so that what else the machine does falls on both. */
async function benchMesh(report: Report, backend: Backend): Promise<void> {
  const mesh = await natsMesh()
  const taken: Record<'bare' | 'meshed', number[]> = { bare: [], meshed: [] }
  try {
    await serveModel(await mesh.join('model', { roles: ['inference'] }), backend)
    const asker = await mesh.join('asker', { roles: ['supervisor'] })
    const name = inferenceName('model')
    await eventually(() => {
      if (!asker.directory.locate(name)) throw new Error('the model is not there yet')
    })
    const ref = asker.ref(name)
    const timed = async (way: keyof typeof taken, work: () => Promise<unknown>): Promise<void> => {
      const begun = performance.now()
      await work()
      taken[way].push(performance.now() - begun)
    }
    for (let n = 0; n < warm + questions; n += 1) {
      await timed('bare', () => collect(backend.generate(question)))
      await timed('meshed', () => collect(ref.stream(Generate, question)))
    }
  } finally {
    await mesh.close()
  }
  const over = (from: number, share: number) => {
    const [baseline, meshed] = [at(taken.bare, from, share), at(taken.meshed, from, share)]
    return { value: meshed - baseline, unit: 'ms', baseline }
  }
  const metric = 'answer through the mesh, over the bare backend'
  const median = over(warm, 0.5)
  report({ metric: `${metric}, median`, ...median, aim: '≤ 2', ok: median.value <= 2 })
  report({ metric: `${metric}, p99`, ...over(warm, 0.99) })
  report({ metric: `${metric}, median of the first ${questions}`, ...over(cold, 0.5) })
}

/** Of the questions from that one on. */
function at(all: readonly number[], from: number, share: number): number {
  const times = all.slice(from, from + questions).toSorted((a, b) => a - b)
  return times[Math.floor(times.length * share)] ?? Number.NaN
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
function benchFleet(report: Report): void {
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
