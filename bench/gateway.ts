/**
 * What the gateway adds to a streamed completion: the same question to the backend itself and over HTTP to `clawmesh up --gateway`, with its gateway, broker, node and
 * model in processes of their own, in turns; and how long a
 * held action waits for the machine alone: asked, shown to a follower over HTTP, answered over HTTP by a follower who needs no time to think, gone on.
 */
import { Agent, request as httpRequest } from 'node:http'
import type { Backend } from '../inference/backend.js'
import { shippedModelFolder } from '../inference/models.js'
import { OnnxBackend } from '../inference/onnx/backend.js'
import { ApiKeys } from '../nodes/gateway/http/keys.js'
import { askPerson } from '../sandbox/approval.js'
import { follow, openStand, type Stand, shipped } from '../test/nodes/gateway/stand.js'
import { Machine } from '../test/nodes/machine.js'
import type { Report } from './figure.js'

const completions = 300
const approvals = 400
const warmUp = 30
/** Each key may ask so often at once. */
const perKey = 50

const question = { messages: [{ role: 'user' as const, content: '12 + 7' }], maxTokens: 16, temperature: 0 }

export default async function bench(report: Report): Promise<void> {
  const agent = new Agent({ keepAlive: true })
  try {
    await completion(agent, report)
    const stand = await openStand({ rate: { burst: 10_000, perSecond: 10_000 } })
    try {
      await approval(stand, agent, report)
    } finally {
      await stand.close()
    }
  } finally {
    agent.destroy()
  }
}

/** Milliseconds to the first event of an answer, and to its end. */
interface Times {
  first: number
  whole: number
}

async function completion(agent: Agent, report: Report): Promise<void> {
  const bare: Times[] = []
  const ours: Times[] = []
  const machine = new Machine()
  const backend = await OnnxBackend.open({ folder: shippedModelFolder })
  try {
    const running = await machine.up('--gateway', '0')
    const url = /The gateway listens at (http:\S+)\. /.exec(running.stderr())?.[1] ?? ''
    const all = completions + warmUp
    const keys = Array.from({ length: Math.ceil(all / perKey) }, (_, n) =>
      new ApiKeys(machine.data).add(`bench-${n}`, 'developer', Date.now()),
    )
    for (let n = 0; n < all; n += 1) {
      bare.push(await atBackend(backend))
      ours.push(await atGateway(url, keys[Math.floor(n / perKey)] ?? '', agent))
    }
  } finally {
    await backend.dispose()
    await machine.remove()
  }
  for (const part of ['first', 'whole'] as const) {
    const [base, value] = [bare, ours].map((all) => all.slice(warmUp).map((times) => times[part])) as [
      number[],
      number[],
    ]
    for (const [share, name, most] of [
      [0.5, 'median', 2],
      [0.99, 'p99', 8],
    ] as const) {
      const [baseline, over] = [at(base, share), at(value, share) - at(base, share)]
      const aim = part === 'whole' ? { aim: `≤ ${most}`, ok: over <= most } : {}
      const what = part === 'first' ? 'first event' : 'whole answer'
      report({
        metric: `streamed completion, ${what}, over the bare backend, ${name}`,
        value: over,
        unit: 'ms',
        baseline,
        ...aim,
      })
    }
  }
}

async function atBackend(backend: Backend): Promise<Times> {
  const began = performance.now()
  let first: number | undefined
  for await (const _ of backend.generate(question)) first ??= performance.now() - began
  return { first: first ?? 0, whole: performance.now() - began }
}

function atGateway(url: string, key: string, agent: Agent): Promise<Times> {
  const { messages, maxTokens, temperature } = question
  const body = { model: shipped, messages, max_tokens: maxTokens, temperature, stream: true }
  return post(url, agent, '/v1/chat/completions', key, body)
}

async function approval(stand: Stand, agent: Agent, report: Report): Promise<void> {
  const { box, keyOf, url } = stand
  const following = await follow(url, '/v1/approvals/events', keyOf.approver)
  const answered = new Set<string>()
  const answers: Promise<unknown>[] = []
  const times: number[] = []
  try {
    following.onEvent = ({ data }) => {
      const { id, verdict } = data as { id: string; verdict: unknown }
      if (verdict || answered.has(id)) return
      answered.add(id)
      answers.push(post(url, agent, `/v1/approvals/${id}`, keyOf.approver, { answer: 'allow' }))
    }
    for (let n = 0; n < approvals + warmUp; n += 1) {
      const began = performance.now()
      const asked = { node: box.name, tool: 'read_file', args: { path: `/${n}` }, missing: [], workspace: '/' }
      const { signal } = new AbortController()
      const { answer } = await askPerson(box, asked, { signal, trace: `t${n}`, deadline: Date.now() + 30_000 })
      if (answer !== 'allow') throw new Error('it was not allowed')
      times.push(performance.now() - began)
    }
    await Promise.all(answers)
  } finally {
    following.close()
  }
  const counted = times.slice(warmUp)
  for (const [share, name, most] of [
    [0.5, 'median', 50],
    [0.95, 'p95', 200],
  ] as const) {
    const value = at(counted, share)
    report({
      metric: `held action, asked, shown, answered, gone on, ${name}`,
      value,
      unit: 'ms',
      aim: `≤ ${most}`,
      ok: value <= most,
    })
  }
}

function post(url: string, agent: Agent, path: string, key: string, body: object): Promise<Times> {
  const began = performance.now()
  const content = JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const call = httpRequest(`${url}${path}`, {
      method: 'POST',
      agent,
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(content),
      },
    })
    call.on('error', reject)
    call.once('response', (response) => {
      let first: number | undefined
      response.on('data', () => {
        first ??= performance.now() - began
      })
      response.once('end', () => {
        if (response.statusCode !== 200) reject(new Error(`${path} answered ${response.statusCode}`))
        resolve({ first: first ?? 0, whole: performance.now() - began })
      })
    })
    call.end(content)
  })
}

function at(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
