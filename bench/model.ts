import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { collect } from '../inference/backend.js'
import { toCall } from '../inference/constrain/automaton.js'
import { ruleOf } from '../inference/constrain/rule.js'
import { openModel, shippedModelFolder } from '../inference/models.js'
import { OnnxBackend } from '../inference/onnx/backend.js'
import { Cache } from '../inference/onnx/cache.js'
import { readConfig } from '../inference/onnx/config.js'
import { Graph } from '../inference/onnx/graph.js'
import { pick } from '../inference/onnx/random.js'
import { Text } from '../inference/onnx/text.js'
import { type ToolCall, toolCallSchema } from '../inference/tool.js'
import { installation } from '../mesh/installation.js'
import { offeredTools } from '../nodes/agents/tools.js'
import { ClawmeshError } from '../policies/errors.js'
import type { Report } from './figure.js'

const exampleSchema = z.object({
  kind: z.enum(['tool', 'arithmetic-call', 'arithmetic-direct', 'none']),
  request: z.string(),
  call: toolCallSchema.nullable(),
  answer: z.string().optional(),
})
type Example = z.infer<typeof exampleSchema>

/** What one way of decoding made of an example. */
interface Attempt {
  example: Example
  call: ToolCall | undefined
  text: string
  tokens: number
  ms: number
}

type Decode = (example: Example) => Promise<Pick<Attempt, 'call' | 'text' | 'tokens'>>

const heldout = join(installation, 'inference', 'shipped', 'heldout.jsonl')

/**
 * The shipped model on requests that its training never saw: constrained decoding, as everybody uses it, against the same model left
 * free, in the same run. The free one is helped as far as it gets its answer begun with the call mark.
 */
export default async function bench(report: Report): Promise<void> {
  const examples = (await readFile(heldout, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => exampleSchema.parse(JSON.parse(line)))
  const backend = await OnnxBackend.open({ folder: shippedModelFolder })
  try {
    const constrained = await attempt(examples, throughBackend(backend))
    const free = await attempt(examples, await leftFree())
    const share = (metric: string, kind: Example['kind'], aim?: number): void => {
      const [value, baseline] = [exact(constrained, kind), exact(free, kind)]
      report({
        metric,
        value,
        unit: '%',
        ...compared(value, baseline),
        ...(aim ? { aim: `≥ ${aim}`, ok: value >= aim } : {}),
      })
    }
    share('exact tool calls, unseen phrasings and names', 'tool', 95)
    share('arithmetic calls exact', 'arithmetic-call', 70)
    share('arithmetic answered directly', 'arithmetic-direct')
    share('no_tool where none fits', 'none')
    const [speed, freeSpeed] = [tokensPerSecond(constrained), tokensPerSecond(free)]
    report({ metric: 'tokens of a tool call', value: speed, unit: 'tok/s', ...compared(speed, freeSpeed) })
    const [wait, freeWait] = [medianMs(constrained), medianMs(free)]
    report({ metric: 'request to tool call, median', value: wait, unit: 'ms', ...compared(wait, freeWait) })
  } finally {
    await backend.dispose()
  }
  await benchLoad(report)
}

async function benchLoad(report: Report): Promise<void> {
  const loads: OnnxBackend['load'][] = []
  for (let i = 0; i < 7; i++) {
    const backend = await OnnxBackend.open({ folder: shippedModelFolder })
    loads.push(backend.load)
    await backend.dispose()
  }
  const stage = (of: (load: OnnxBackend['load']) => number): number => round(median(loads.map(of)))
  const total = stage((load) => load.total)
  report({ metric: 'load', value: total, unit: 'ms', aim: '< 200', ok: total < 200 })
  report({ metric: 'load: start of the process and imports', value: stage(({ modules }) => modules), unit: 'ms' })
  report({ metric: 'load: read and verify', value: stage(({ verify }) => verify), unit: 'ms' })
  report({ metric: 'load: tokenizer and template', value: stage(({ text }) => text), unit: 'ms' })
  report({ metric: 'load: onnxruntime session', value: stage(({ session }) => session), unit: 'ms' })
}

async function attempt(examples: readonly Example[], decode: Decode): Promise<Attempt[]> {
  const attempts: Attempt[] = []
  for (const example of examples) {
    const begun = performance.now()
    const made = await decode(example)
    attempts.push({ example, ...made, ms: performance.now() - begun })
  }
  return attempts
}

function throughBackend(backend: OnnxBackend): Decode {
  return async ({ kind, request }) => {
    const messages = [{ role: 'user' as const, content: request }]
    const tools = kind === 'arithmetic-direct' ? {} : { tools: [...offeredTools] }
    try {
      const events = backend.generate({ messages, ...tools, maxTokens: 400, temperature: 0 })
      const { calls, text, usage } = await collect(events)
      return { call: calls[0], text, tokens: usage?.outputTokens ?? 0 }
    } catch (thrown) {
      // A refusal to make a call is an answer, and a wrong one.
      if (thrown instanceof ClawmeshError && thrown.code === 'MODEL_FAILED')
        return { call: undefined, text: '', tokens: 0 }
      throw thrown
    }
  }
}

/** The likeliest token each time, whatever it is, until the end mark. */
async function leftFree(): Promise<Decode> {
  const model = await openModel(shippedModelFolder)
  const { shape } = readConfig(model)
  const text = new Text(model)
  const graph = await Graph.load(model.bytes('model.onnx'), shape, 1)
  const all = Array.from({ length: shape.vocabulary }, (_, id) => id)
  const separator = text.special.get('<|arg|>') ?? -1
  return async ({ kind, request }) => {
    const direct = kind === 'arithmetic-direct'
    let pending = text.prompt([{ role: 'user', content: request }], direct ? '' : '<|call|>')
    const room = shape.context - pending.length
    const out: number[] = []
    const cache = new Cache(shape)
    const slot = cache.open()
    while (out.length < room) {
      const [logits = new Float32Array()] = await graph.run(cache, [{ slot, tokens: pending }])
      const token = pick(logits, all, 0, Math.random)
      pending = [token]
      if (shape.ends.includes(token)) break
      out.push(token)
    }
    if (direct) return { call: undefined, text: text.decode(out), tokens: out.length + 1 }
    return { call: freeCall(text, out, separator), text: '', tokens: out.length + 2 }
  }
}

/** A freely written call read with all good will; undefined if it names no tool. */
function freeCall(text: Text, out: readonly number[], separator: number): ToolCall | undefined {
  const cuts = out.flatMap((token, i) => (token === separator ? [i] : []))
  const [name, ...values] = [-1, ...cuts].map((cut, i) => text.decode(out.slice(cut + 1, cuts[i] ?? out.length)))
  const tool = offeredTools.find((each) => each.name === name)
  return tool && toCall(ruleOf(tool), values)
}

function exact(attempts: readonly Attempt[], kind: Example['kind']): number {
  const asked = attempts.filter(({ example }) => example.kind === kind)
  return round((100 * asked.filter(isExact).length) / asked.length)
}

function isExact({ example, call, text }: Attempt): boolean {
  if (example.kind === 'arithmetic-direct') return text === example.answer
  if (example.kind === 'none') return call?.name === 'no_tool'
  return isDeepStrictEqual(call, example.call)
}

function tokensPerSecond(attempts: readonly Attempt[]): number {
  const calls = attempts.filter(({ example }) => example.kind === 'tool')
  const sum = (of: (each: Attempt) => number): number => calls.reduce((total, each) => total + of(each), 0)
  return round((1000 * sum(({ tokens }) => tokens)) / sum(({ ms }) => ms))
}

function medianMs(attempts: readonly Attempt[]): number {
  return round(median(attempts.filter(({ example }) => example.kind === 'tool').map(({ ms }) => ms)))
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

function compared(value: number, baseline: number): { baseline: number; ratio?: number } {
  return baseline > 0 ? { baseline, ratio: Math.round((100 * value) / baseline) / 100 } : { baseline }
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
