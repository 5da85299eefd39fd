import { access, mkdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isDeepStrictEqual } from 'node:util'
import { type Answer, collect, type GenerateRequest } from '../inference/backend.js'
import { openModel, shippedModelFolder } from '../inference/models.js'
import { OnnxBackend } from '../inference/onnx/backend.js'
import type { Stats } from '../inference/onnx/protocol.js'
import { Text } from '../inference/onnx/text.js'
import { type LlamaForm, type LlamaShape, llamaModel } from '../test/inference/onnx/llama.js'
import { askTransformers } from '../test/kit/transformers.js'
import type { Figure, Report } from './figure.js'

/** The built-in backend under several requests at once. */
export default async function bench(report: Report): Promise<void> {
  await benchShipped(report)
  await benchLarge(report)
  await benchPeer(report)
}

const slots = 16

/** The model that ships: the same requests one after the other and sixteen at once. */
async function benchShipped(report: Report): Promise<void> {
  const backend = await OnnxBackend.open({ folder: shippedModelFolder, slots, prefixBytes: 0 })
  try {
    const speed = await backend.measured
    if (speed) report({ metric: 'shipped: prefill, as measured after the load', value: speed.prefill, unit: 'tok/s' })
    if (speed) report({ metric: 'shipped: decode, as measured after the load', value: speed.decode, unit: 'tok/s' })
    await benchTogether(report, backend, 'shipped', 64)
  } finally {
    await backend.dispose()
  }
}

/** 98 million parameters in float32, random: what it says means nothing, but it is computed as any other. */
const large: LlamaShape = { layers: 12, hidden: 768, heads: 12, ffn: 2048, vocabulary: 16_384, context: 2048 }

async function benchLarge(report: Report): Promise<void> {
  const backend = await OnnxBackend.open({ folder: await largeModel('rows'), slots })
  try {
    await backend.measured
    await benchWriting(report, backend)
    await benchTogether(report, backend, '100M', 48)
    await benchCancel(report, backend)
    await benchPrefix(report, backend)
  } finally {
    await backend.dispose()
  }
}

/** Made once, in half a minute, and kept outside the repository. */
async function largeModel(form: LlamaForm): Promise<string> {
  const folder = join(tmpdir(), 'clawmesh-bench', `llama-${form}-${Object.values(large).join('-')}`)
  const made = await access(join(folder, 'manifest.json')).then(
    () => true,
    () => false,
  )
  if (made) return folder
  const unfinished = `${folder}.${process.pid}`
  await mkdir(unfinished, { recursive: true })
  await llamaModel(large, form, unfinished)
  await rm(folder, { recursive: true, force: true })
  await rename(unfinished, folder)
  return folder
}

const say = (content: string, maxTokens: number, seed: number): GenerateRequest => ({
  messages: [{ role: 'user', content }],
  maxTokens,
  // The likeliest token in every other one, drawn ones in the rest.
  temperature: seed % 2,
  seed,
})

/** Tokens a second while sixteen answers are written and while one is; what a step takes beside the graph; how long the node's own loop is held up. */
async function benchWriting(report: Report, backend: OnnxBackend): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const alone = [await writing(backend, 1), await writing(backend, 1)]
  delay.enable()
  const together = await writing(backend, slots)
  delay.disable()
  report({
    metric: '100M: batch 16 against batch 1, while answers are written',
    ...compared(together.rate, alone.reduce((sum, { rate }) => sum + rate, 0) / alone.length, 5),
  })
  atMost(report, '100M: a step outside the graph, batch 16', 100 * together.outside, '%', 10)
  // The timer's own millisecond is in each sample.
  atMost(report, '100M: delay of the loop of the node under load, p99', delay.percentile(99) / 1e6 - 1, 'ms', 10)
}

/** From the first token of the last of `count` answers to the end of the first of them: tokens a second, and the share of the time outside the graph. */
async function writing(backend: OnnxBackend, count: number): Promise<{ rate: number; outside: number }> {
  let [begun, begins] = [0, undefined as Promise<Moment> | undefined]
  let ends: Promise<Moment> | undefined
  await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      let first = true
      for await (const event of backend.generate(say(`answer ${i}`, 80, i))) {
        if (first && ++begun === count) begins = moment(backend)
        first = false
        if (event.type === 'done') ends ??= moment(backend)
      }
    }),
  )
  const [from, to] = [await begins, await ends]
  if (!from || !to) throw new Error('the answers had no token')
  const ms = to.at - from.at
  return { rate: (1000 * (to.fed - from.fed)) / ms, outside: 1 - (to.computeMs - from.computeMs) / ms }
}

type Moment = Stats & { at: number }

async function moment(backend: OnnxBackend): Promise<Moment> {
  const stats = await backend.stats()
  if (!stats) throw new Error('the process of the model is gone')
  return { ...stats, at: performance.now() }
}

/** Whole requests, from prompt to last token: one by one, and sixteen at once. */
async function benchTogether(report: Report, backend: OnnxBackend, model: string, maxTokens: number): Promise<void> {
  const requests = Array.from({ length: slots }, (_, i) => say('say the letters '.slice(0, 1 + i), maxTokens, i))
  const ask = (request: GenerateRequest): Promise<Answer> => collect(backend.generate(request))
  await ask(say('to warm up', 8, 0))
  const alone = await timed(async () => {
    const answers: Answer[] = []
    for (const request of requests) answers.push(await ask(request))
    return answers
  })
  const together = await timed(() => Promise.all(requests.map(ask)))
  report({ metric: `${model}: 16 requests at once against one by one`, ...compared(together.rate, alone.rate, 2) })
  const same = together.answers.filter((answer, i) => isDeepStrictEqual(answer.text, alone.answers[i]?.text)).length
  const share = (100 * same) / requests.length
  report({ metric: `${model}: answers the same as alone`, value: share, unit: '%', aim: '100 %', ok: share === 100 })
}

async function timed(work: () => Promise<Answer[]>): Promise<{ answers: Answer[]; rate: number }> {
  const begun = performance.now()
  const answers = await work()
  const tokens = answers.reduce((sum, { usage }) => sum + (usage?.outputTokens ?? 0), 0)
  return { answers, rate: (1000 * tokens) / (performance.now() - begun) }
}

/** Steps that are computed after all answers under way were cancelled, one of them amid its prompt. The worst of five. */
async function benchCancel(report: Report, backend: OnnxBackend): Promise<void> {
  let worst = 0
  for (let round = 0; round < 5; round++) {
    const cancels = Array.from({ length: slots }, () => new AbortController())
    const [late, ...early] = cancels.map(({ signal }) => signal)
    let heard = 0
    const answers = early.map(async (signal, i) => {
      for await (const _event of backend.generate(say(`cancel ${i}`, 400, i), signal)) heard++
    })
    const ended = Promise.allSettled(answers)
    while (heard < 40) await new Promise((resolve) => setTimeout(resolve, 5))
    const prompt = Promise.allSettled([collect(backend.generate(say(`${round}`.repeat(1500), 4, 0), late))])
    // Steps that are over as far as this side can know: the one under way counts as one too many.
    const { steps } = await moment(backend)
    for (const cancel of cancels) cancel.abort()
    await Promise.all([ended, prompt])
    let now = await moment(backend)
    while (now.running > 0) now = await moment(backend)
    worst = Math.max(worst, now.steps - steps)
  }
  atMost(report, '100M: steps after a cancel (one batch and one chunk each)', worst, 'steps', 1)
}

/** The first token of the second turn of a conversation, which began with 512 tokens, against that of the first. Medians of seven. */
async function benchPrefix(report: Report, backend: OnnxBackend): Promise<void> {
  const [cold, warm]: [number[], number[]] = [[], []]
  for (let round = 0; round < 7; round++) {
    const begin = { role: 'user' as const, content: `${round} is the number of this story. `.repeat(18).slice(0, 512) }
    const first = await firstToken(backend, [begin])
    const answer = { role: 'assistant' as const, content: first.text }
    const second = await firstToken(backend, [begin, answer, { role: 'user', content: 'and what came after that?' }])
    cold.push(first.ms)
    warm.push(second.ms)
  }
  const [value, baseline] = [median(warm), median(cold)]
  const ratio = value / baseline
  const aim = '≤ 0.3 times'
  report({
    metric: "100M: second turn's first token, 512 shared",
    value,
    unit: 'ms',
    baseline,
    ratio,
    aim,
    ok: ratio <= 0.3,
  })
}

async function firstToken(
  backend: OnnxBackend,
  messages: GenerateRequest['messages'],
): Promise<{ ms: number; text: string }> {
  const begun = performance.now()
  let ms: number | undefined
  let text = ''
  for await (const event of backend.generate({ messages, maxTokens: 6, temperature: 0 })) {
    ms ??= performance.now() - begun
    if (event.type === 'token') text += event.text
  }
  return { ms: ms ?? Number.NaN, text }
}

/** Sixteen requests at once, against transformers.js doing the same ones one by one on the same weights; and whether it says the same. */
async function benchPeer(report: Report): Promise<void> {
  const requests = Array.from({ length: slots }, (_, i) => ({ ...say('say the letters '.slice(0, 1 + i), 48, 0) }))
  const folder = await largeModel('whole')
  const text = new Text(await openModel(folder))
  const prompts = requests.map(({ messages }) => text.prompt(messages))
  const peer = await askTransformers(folder, prompts, 48).catch((thrown: unknown) => {
    process.stderr.write(`transformers.js could not be asked: ${String(thrown).slice(0, 500)}\n`)
    return undefined
  })
  if (!peer) return
  const theirs = (1000 * peer.answers.reduce((sum, { length }) => sum + length, 0)) / peer.ms
  for (const form of ['rows', 'whole', 'grouped'] as const) {
    const backend = await OnnxBackend.open({ folder: await largeModel(form), slots, prefixBytes: 0 })
    try {
      await backend.measured
      const begun = performance.now()
      const answers = await Promise.all(requests.map((request) => tokensOf(backend, request)))
      const ours = (1000 * answers.reduce((sum, { count }) => sum + count, 0)) / (performance.now() - begun)
      report({ metric: `100M (${form}): 16 at once against transformers.js one by one`, ...compared(ours, theirs, 2) })
      const same = answers.filter(({ ids }, i) => isDeepStrictEqual(ids, peer.answers[i]?.slice(0, ids.length))).length
      report({
        metric: `100M (${form}): answers token for token those of transformers.js`,
        value: (100 * same) / slots,
        unit: '%',
      })
    } finally {
      await backend.dispose()
    }
  }
}

/** The last of them may be without a word, and so are not told. */
async function tokensOf(backend: OnnxBackend, request: GenerateRequest): Promise<{ ids: number[]; count: number }> {
  const ids: number[] = []
  for await (const event of backend.generate(request))
    if (event.type !== 'done') ids.push(...(event.ids ?? []))
    else return { ids, count: event.usage?.outputTokens ?? 0 }
  throw new Error('an answer had no end')
}

function compared(value: number, baseline: number, aim: number): Omit<Figure, 'metric'> {
  const ratio = value / baseline
  return { value, unit: 'tok/s', baseline, ratio, aim: `≥ ${aim} times`, ok: ratio >= aim }
}

function atMost(report: Report, metric: string, value: number, unit: string, aim: number): void {
  report({ metric, value, unit, aim: `≤ ${aim} ${unit}`, ok: value <= aim })
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}
