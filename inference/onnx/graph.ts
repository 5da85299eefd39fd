import { InferenceSession, Tensor } from 'onnxruntime-node'
import { Cache, type Layout } from './cache.js'
import type { DecoderShape } from './config.js'
import { isNumberType, type Numbers, type NumberType, numbersOf, widened } from './numbers.js'

/** Tokens to be fed behind what a slot of the cache holds. */
export interface Feed {
  slot: number
  tokens: readonly number[]
}

/**
 * How a graph takes its inputs and gives its outputs.
 *
 * - rows: gives the keys and values of the new tokens alone (`new.N.key`). Reads the cache in place, for each sequence up to `past_lengths`; one row of logits, of
 *   the token at `last_rows`.
 * - whole: gives the cache with the new rows behind it (`present.N.key`), as exports on the Hugging Face hub do. A mask says which rows of the past
 *   count, so that sequences of unlike length go together.
 * - grouped: the same by the operator GroupQueryAttention, which writes new rows into the cache that it reads when it is given the same memory for both. It takes what
 *   the mask lets through for where the past ends, so several sequences go together with one token each, and one alone with as many as there are.
 * - alone: without mask or positions, or where they are understood otherwise. One sequence at a time, and no row that does not count. Also where states are
 *   float16: they are rounded after each run, so an answer would depend on how many of its tokens went together, and that on who is computed beside it.
 */
type Form = 'rows' | 'whole' | 'grouped' | 'alone'

/** A decoder graph: tokens and `past_key_values.N.key|value` go in, logits and new keys and values come out. */
export class Graph {
  form: Form
  /** Milliseconds that its runs took so far, all together. */
  computeMs = 0
  /** What it carries from token to token. */
  readonly layout: Layout
  private readonly session: InferenceSession
  private readonly vocabulary: number

  private constructor(session: InferenceSession, form: Form, vocabulary: number) {
    this.session = session
    this.form = form
    this.layout = layoutOf(session)
    this.vocabulary = vocabulary
  }

  /** `outside`: weights that lie in files of their own. Throws what onnxruntime throws for a graph that it cannot load. */
  static async load(
    model: Uint8Array,
    shape: DecoderShape,
    threads: number,
    outside: readonly { path: string; data: Uint8Array }[] = [],
  ): Promise<Graph> {
    const session = await InferenceSession.create(model, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      logSeverityLevel: 3,
      ...(outside.length > 0 ? { externalData: [...outside] } : {}),
      // A spinning pool burns a core between two steps, on machines where others wait for it.
      extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
    })
    const graph = new Graph(session, formOf(session, model), shape.vocabulary)
    if (graph.layout.states.some(({ type }) => type === 'float16')) graph.form = 'alone'
    // How a graph makes of its mask what the operator or a layer with a state wants differs from export to export: it is tried.
    const isOwn = graph.form === 'rows' || (graph.form === 'whole' && graph.layout.states.length === 0)
    if (graph.batches && !isOwn && !(await graph.agrees(shape))) graph.form = 'alone'
    return graph
  }

  /** Whether several sequences can be computed in one run. */
  get batches(): boolean {
    return this.form !== 'alone'
  }

  /** Whether sequences of one run may be fed unlike numbers of tokens. */
  get fillsUp(): boolean {
    // A state would take in what is filled up with.
    return (this.form === 'rows' || this.form === 'whole') && this.layout.states.length === 0
  }

  /** An empty cache for it. */
  cache(shape: DecoderShape): Cache {
    return new Cache(shape, this.layout)
  }

  /**
   * Feeds tokens and takes their keys and values into the cache. For each feed: one number for each token of the vocabulary, for the place behind its last token.
   * Several feeds only if it `batches`. Blocks the thread while the graph computes.
   */
  async run(cache: Cache, feeds: readonly Feed[]): Promise<Float32Array[]> {
    const batch = new Batch(cache, feeds)
    if (this.form === 'grouped') return this.inPlace(cache, batch)
    const past = this.batches ? cache.view(batch.first, batch.count) : cache.exact(batch.first)
    const room = this.batches ? cache.capacity : cache.length(batch.first)
    const inputs: Record<string, Tensor> = {}
    for (const [i, name] of cache.names.entries()) {
      const tensor = past[i]
      if (tensor) inputs[`past_key_values.${name}`] = tensor
    }
    this.giveStates(inputs, cache, batch)
    for (const name of this.session.inputNames) inputs[name] ??= batch.input(name, room) ?? unknownInput(name)
    const begun = performance.now()
    const outputs = await this.session.run(inputs)
    this.computeMs += performance.now() - begun
    const prefix = this.form === 'rows' ? 'new' : 'present'
    const [from, of] = this.form === 'rows' ? [0, batch.width] : [room, room + batch.width]
    const size = batch.count * of * cache.numbersPerRow
    const rows = cache.names.map((name) => numbersIn(outputs, `${prefix}.${name}`, size, this.layout.type))
    const logits = this.logits(outputs, batch)
    for (const { slot, tokens } of feeds) cache.append(slot, tokens.length, rows, slot - batch.first, from, of)
    this.takeStates(outputs, cache, batch)
    return logits
  }

  /** Keys and values are written where they are read; the mask has as many ones as each sequence has tokens, the new ones included. */
  private async inPlace(cache: Cache, batch: Batch): Promise<Float32Array[]> {
    const { feeds, first, count, width } = batch
    // Also of those that are not fed: a row is written for each, behind its end, where nobody reads.
    for (let slot = first; slot < first + count; slot++) cache.reserve(slot, width)
    const inputs: Record<string, Tensor> = {}
    const outputs: Record<string, Tensor | null> = { logits: null }
    for (const [i, tensor] of cache.view(first, count).entries()) {
      inputs[`past_key_values.${cache.names[i]}`] = tensor
      outputs[`present.${cache.names[i]}`] = tensor
    }
    for (const { name } of cache.states) outputs[`present_${name}`] = null
    this.giveStates(inputs, cache, batch)
    for (const name of this.session.inputNames)
      inputs[name] ??= (name === 'attention_mask' ? batch.counts() : batch.input(name, 0)) ?? unknownInput(name)
    const begun = performance.now()
    const given = await this.session.run(inputs, outputs)
    this.computeMs += performance.now() - begun
    const logits = this.logits(given, batch)
    for (const { slot, tokens } of feeds) cache.advance(slot, tokens.length)
    this.takeStates(given, cache, batch)
    return logits
  }

  private giveStates(inputs: Record<string, Tensor>, cache: Cache, { first, count }: Batch): void {
    for (const [i, tensor] of cache.stacked(first, count).entries()) inputs[`past_${cache.states[i]?.name}`] = tensor
  }

  /** Of those that were fed alone: the others' are as they were. */
  private takeStates(outputs: InferenceSession.OnnxValueMapType, cache: Cache, { feeds, first, count }: Batch): void {
    const given = cache.states.map(({ name, dims, type }) =>
      numbersIn(
        outputs,
        `present_${name}`,
        dims.reduce((product, size) => product * size, count),
        type,
      ),
    )
    if (given.length > 0) for (const { slot } of feeds) cache.restate(slot, given, slot - first)
  }

  /** Whether two sequences of unlike lengths come out together as each does alone, with the caches fed back whole. */
  private async agrees(shape: DecoderShape): Promise<boolean> {
    const tried = this.form
    const token = (i: number): number => (i * 7 + 1) % shape.vocabulary
    const prompts = [5, 2].map((length) => Array.from({ length }, (_, i) => token(i + length)))
    const compute = async (form: Form): Promise<Float32Array[]> => {
      this.form = form
      const cache = this.cache(shape)
      const slots = prompts.map(() => cache.open())
      for (const slot of slots) await this.run(cache, [{ slot, tokens: prompts[slot] ?? [] }])
      const next = slots.map((slot) => ({ slot, tokens: [token(slot)] }))
      const more = { slot: 0, tokens: [token(3), token(4)] }
      if (form === tried) return [...(await this.run(cache, next)), ...(await this.run(cache, [more]))].map(copied)
      const alone: Float32Array[] = []
      for (const feed of [...next, more]) alone.push(...(await this.run(cache, [feed])).map(copied))
      return alone
    }
    try {
      const expected = await compute('alone')
      const found = await compute(tried)
      const share = nearness[this.layout.type]
      return found.every((row, i) => isNear(row, expected[i] ?? row.subarray(0, 0), share))
    } catch {
      return false
    }
  }

  private logits(outputs: InferenceSession.OnnxValueMapType, { feeds, first, count, width }: Batch): Float32Array[] {
    const { vocabulary } = this
    const each = this.form === 'rows' ? 1 : width
    const logits = numbersIn(outputs, 'logits', count * each * vocabulary)
    return feeds.map(({ slot, tokens }) => {
      const row = (slot - first) * each + (this.form === 'rows' ? 0 : tokens.length - 1)
      return widened(logits.subarray(row * vocabulary, (row + 1) * vocabulary))
    })
  }
}

/** The slots from the first to the last that are fed, side by side. A slot between them that is not fed gets a token whose outcome nobody reads. */
class Batch {
  readonly feeds: readonly Feed[]
  readonly first: number
  readonly count: number
  /** Tokens of the longest feed: the others are filled up behind their end, where nothing before can see it. */
  readonly width: number
  private readonly tokens: readonly (readonly number[])[]
  private readonly past: readonly number[]
  private readonly context: number

  constructor(cache: Cache, feeds: readonly Feed[]) {
    const slots = feeds.map(({ slot }) => slot)
    this.feeds = feeds
    this.first = Math.min(...slots)
    this.count = Math.max(...slots) - this.first + 1
    this.width = Math.max(...feeds.map(({ tokens }) => tokens.length))
    const all = Array.from({ length: this.count }, (_, i) => this.first + i)
    this.tokens = all.map((slot) => feeds.find((feed) => feed.slot === slot)?.tokens ?? [0])
    this.past = all.map((slot) => cache.length(slot))
    this.context = cache.context
  }

  /** A mask with a one for each token that a sequence has, the new ones included. */
  counts(): Tensor {
    const { count, width, past } = this
    const total = Math.max(...past) + width
    const mask = new BigInt64Array(count * total)
    for (let i = 0; i < count; i++) mask.fill(1n, i * total, i * total + (past[i] ?? 0) + width)
    return new Tensor('int64', mask, [count, total])
  }

  /** An input by its name; `room` rows of the past come before the new ones. */
  input(name: string, room: number): Tensor | undefined {
    const { count, width, tokens, past, context } = this
    switch (name) {
      case 'input_ids':
        return integers([count, width], (i) => tokens[Math.floor(i / width)]?.[i % width] ?? 0)
      case 'position_ids':
        return integers([count, width], (i) => Math.min(context - 1, (past[Math.floor(i / width)] ?? 0) + (i % width)))
      case 'past_lengths':
        return integers([count], (i) => past[i] ?? 0)
      case 'last_rows':
        return integers([count], (i) => (tokens[i]?.length ?? 1) - 1)
      case 'num_logits_to_keep':
        return new Tensor('int64', BigInt64Array.of(0n), [])
      case 'attention_mask': {
        const total = room + width
        const mask = new BigInt64Array(count * total)
        for (let i = 0; i < count; i++) {
          mask.fill(1n, i * total, i * total + (past[i] ?? 0))
          mask.fill(1n, i * total + room, i * total + room + (tokens[i]?.length ?? 0))
        }
        return new Tensor('int64', mask, [count, total])
      }
      default:
        return undefined
    }
  }
}

function formOf({ inputNames, inputMetadata, outputNames }: InferenceSession, model: Uint8Array): Form {
  if (inputNames.includes('past_lengths') && outputNames.includes('new.0.key')) return 'rows'
  const ids = inputMetadata.find(({ name }) => name === 'input_ids')
  const oneOnly = ids?.isTensor === true && ids.shape[0] === 1
  const masked = inputNames.includes('attention_mask') && inputNames.includes('position_ids')
  // The operator's name stands in the file as it is.
  const counts = Buffer.from(model.buffer, model.byteOffset, model.byteLength).includes('GroupQueryAttention')
  if (oneOnly) return 'alone'
  if (counts) return inputNames.includes('attention_mask') ? 'grouped' : 'alone'
  return masked ? 'whole' : 'alone'
}

const copied = (row: Float32Array): Float32Array => row.slice()

/** As near as the order of additions makes it: a share of the largest number. A mask that means something else is further off by far. */
const nearness = { float32: 1e-3, float16: 1e-2 } as const

function isNear(found: Float32Array, expected: Float32Array, share: number): boolean {
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  return (
    found.length === expected.length && found.every((value, i) => Math.abs(value - (expected[i] ?? 0)) <= scale * share)
  )
}

/** What goes in under a name of the past, by its name. Throws for a state whose size the graph does not say, and for what is not carried along here. */
function layoutOf({ inputNames, inputMetadata }: InferenceSession): Layout {
  const names = inputNames.flatMap((name) => /^past_key_values\.(.+)$/.exec(name)?.[1] ?? [])
  const states = inputMetadata.flatMap((input) => {
    const name = /^past_(?!key_values)(\w+\.\d+.*)$/.exec(input.name)?.[1]
    if (name === undefined || !input.isTensor) return []
    const dims = input.shape.slice(1).map((size) => (typeof size === 'number' ? size : unknownSize(input.name)))
    return [{ name, type: typeOf(input), dims }]
  })
  const types = new Set(
    inputMetadata.flatMap((input) => (/^past_key_values\./.test(input.name) ? [typeOf(input)] : [])),
  )
  const [type = 'float32', another] = types
  if (another !== undefined) throw new Error(`keys and values are of two types, ${type} and ${another}`)
  return { names, type, states }
}

function typeOf(input: InferenceSession.ValueMetadata): NumberType {
  const type = input.isTensor ? input.type : 'no tensor'
  if (isNumberType(type)) return type
  throw new Error(`${input.name} is ${type}: float32 and float16 are carried along`)
}

function unknownSize(name: string): never {
  throw new Error(`the graph does not say how large ${name} is`)
}

function integers(dims: readonly number[], at: (i: number) => number): Tensor {
  const values = new BigInt64Array(dims.reduce((product, size) => product * size, 1))
  for (let i = 0; i < values.length; i++) values[i] = BigInt(at(i))
  return new Tensor('int64', values, dims)
}

/** An output. `type`: the only one that it may have, since it goes in again. */
function numbersIn(outputs: InferenceSession.OnnxValueMapType, name: string, size: number, type?: NumberType): Numbers {
  const value = outputs[name]
  if (!(value instanceof Tensor)) throw new Error(`the graph has no output ${name}`)
  const numbers = type === undefined || type === value.type ? numbersOf(value) : undefined
  if (numbers?.length === size) return numbers
  const wanted = type ?? 'float32 or float16'
  throw new Error(`the output ${name} is ${value.type}[${value.dims.join(',')}], expected ${size} numbers of ${wanted}`)
}

function unknownInput(name: string): never {
  throw new Error(`the graph wants an input ${name}, which is not known here`)
}
