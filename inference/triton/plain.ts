import { ClawmeshError } from '../../policies/errors.js'
import { type Backend, checkRequest, type GenerateEvent, type GenerateRequest, type ModelInfo } from '../backend.js'
import { lastUserText } from '../constrain/span.js'
import { describeModel } from '../models.js'
import { Sequence } from '../onnx/sequence.js'
import { type Loaded, readLoaded } from '../onnx/writer.js'
import type { Speed } from '../place.js'
import { Places } from '../places.js'
import { checkCall } from '../tool.js'
import { type Deadlines, TritonClient } from './client.js'
import { lastRow } from './logits.js'
import { awayFrom, giveBack, type Served } from './served.js'
import { encodeTensor, type TensorInfo, type TensorValue } from './tensor.js'

/** Most bytes of logits in one answer of the server: of 1,000 tokens, where a model of 128,000 gives those of all. */
const mostBytes = 512 * 1024 * 1024

/** Of the prompt that is timed. */
const promptTokens = 64

/**
 * A model on a Triton server on this machine that takes token ids and gives logits. What the tokens mean, and which comes next, is decided here, from the tokenizer and
 * the chat template of a model folder, as the built-in backend does it.
 *
 * 1. One ModelInfer for each token that is not forced. The server remembers nothing of an answer: all of its tokens are sent each time, and computed.
 * 2. The model is asked twice before it is offered: for one token, so that what it takes and gives is known to be understood, and for one behind a short prompt, which is timed.
 */
export class PlainBackend implements Backend {
  readonly model: ModelInfo
  readonly slots: number
  speed?: Speed
  private readonly client: TritonClient
  private readonly served: Served
  private readonly loaded: Loaded
  private readonly deadlines: Deadlines
  private readonly places: Places

  private constructor(
    client: TritonClient,
    served: Served,
    loaded: Loaded,
    { slots, queue, deadlines }: { slots: number; queue: number; deadlines: Deadlines },
  ) {
    const { info } = loaded.config
    this.client = client
    this.served = served
    this.loaded = loaded
    this.slots = slots
    this.deadlines = deadlines
    this.places = new Places(slots, queue)
    this.model = {
      name: served.name,
      // The folder's files are not the server's.
      digest: null,
      backend: 'triton:plain',
      context: info.context,
      ...(info.tools ? { tools: info.tools } : {}),
      boundsThought: true,
      purpose: `Served by Triton ${served.version} on this machine as plain tensors; its tokens are read and chosen here.`,
      limits: 'Not stated by the server. Each token takes a computation of all tokens before it.',
    }
  }

  /** Throws MODEL_UNSUITED without a folder, and for a model whose tensors are not understood or not those of the folder, MODEL_BROKEN for a folder that is none. */
  static async open(
    target: string,
    served: Served,
    folder: string | undefined,
    { slots = 8, queue, deadlines }: { slots?: number | undefined; queue: number; deadlines: Deadlines },
  ): Promise<PlainBackend> {
    if (folder === undefined) throw noTokenizer(served.name)
    for (const { name } of served.inputs)
      if (!isKnown(name) && !served.optional.has(name)) throw unknownInput(served.name, name)
    const { model } = await describeModel(folder, 'config.json', 'tokenizer.json', 'tokenizer_config.json')
    const client = new TritonClient(target, mostBytes)
    try {
      const backend = new PlainBackend(client, served, readLoaded(model), { slots, queue, deadlines })
      await backend.logits([0], deadlines.silence)
      await backend.measure()
      return backend
    } catch (thrown) {
      client.close()
      throw thrown
    }
  }

  async *generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GenerateEvent> {
    const checked = checkRequest(this.model, request)
    yield* this.places.take((ended) => this.answer(checked, ended), signal)
  }

  away(): Promise<string | undefined> {
    return awayFrom(this.client, this.served.name)
  }

  async dispose(): Promise<void> {
    if (!this.places.close()) return
    if (this.served.borrowed) await giveBack(this.client, this.served.name, this.deadlines.silence)
    this.client.close()
  }

  /** The tokens are of no meaning; the work is the same. Each token of an answer takes as long as its prompt does. */
  private async measure(): Promise<void> {
    const count = Math.max(1, Math.min(promptTokens, this.loaded.config.shape.context >> 1))
    const tokens = Array.from({ length: count }, (_, i) => i % 2)
    const begun = performance.now()
    await this.logits(tokens, this.deadlines.silence)
    const rate = 1000 / Math.max(0.01, performance.now() - begun)
    this.speed = { prefill: count * rate, decode: rate }
  }

  private async *answer(request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateEvent> {
    const { messages, tools = [] } = request
    const { silence, total } = this.deadlines
    const until = performance.now() + total
    const said: GenerateEvent[] = []
    const sequence = new Sequence(this.loaded, request, (event) => said.push(event))
    let isDone = sequence.begin()
    for (;;) {
      for (const event of said.splice(0)) {
        if (event.type === 'call') checkCall(event.call, tools, lastUserText(messages))
        yield event
      }
      if (isDone) return
      const left = Math.max(0, until - performance.now())
      const logits = await this.logits(sequence.tokens, Math.min(silence, left), signal)
      try {
        isDone = sequence.take(logits)
      } catch (thrown) {
        throw thrown instanceof ClawmeshError ? thrown : failed(thrown)
      }
    }
  }

  /** Those of the token behind the last one. */
  private async logits(tokens: readonly number[], ms: number, signal?: AbortSignal): Promise<Float32Array> {
    const { served, loaded } = this
    const asked = served.inputs.flatMap((input) => {
      const tensor = tensorFor(input, tokens)
      return tensor ? [{ input, ...tensor }] : []
    })
    const request = {
      model_name: served.name,
      inputs: asked.map(({ input: { name, datatype }, shape }) => ({ name, datatype, shape })),
      outputs: [{ name: 'logits' }],
      raw_input_contents: asked.map(({ raw }) => raw),
    }
    const answer = await this.client.ask('ModelInfer', request, ms, signal)
    return lastRow(answer, loaded.config.shape.vocabulary, tokens.length)
  }
}

/** What is said of the tokens, by the names that exports on the Hugging Face hub give it. */
const inputs: Record<string, (tokens: readonly number[]) => TensorValue> = {
  input_ids: (tokens) => tokens,
  attention_mask: (tokens) => tokens.map(() => 1),
  position_ids: (tokens) => tokens.map((_, i) => i),
  // Of the last token alone: the others' are not read.
  num_logits_to_keep: () => [1],
  logits_to_keep: () => [1],
}

/** Keys and values of tokens before these: there are none. */
const isPast = (name: string): boolean => /^past_key_values\.\d+\.(key|value)$/.test(name)

const isKnown = (name: string): boolean => Object.hasOwn(inputs, name) || isPast(name)

/** undefined for an input that is left out. */
function tensorFor(
  { name, datatype, shape }: TensorInfo,
  tokens: readonly number[],
): { shape: number[]; raw: Buffer } | undefined {
  // [batch, heads, length, dim], of which the first and the third are of any size.
  if (isPast(name)) return { shape: shape.map((size, i) => (i === 0 ? 1 : Math.max(0, size))), raw: Buffer.alloc(0) }
  const values = Object.hasOwn(inputs, name) ? inputs[name]?.(tokens) : undefined
  if (values === undefined) return undefined
  const { count, raw } = encodeTensor(datatype, values)
  return { shape: shape.map((_, i) => (i === shape.length - 1 ? count : 1)), raw }
}

function failed(thrown: unknown): ClawmeshError {
  const why = thrown instanceof Error ? thrown.message : String(thrown)
  return new ClawmeshError('MODEL_FAILED', `The model server's answer cannot be used: ${why}.`, {
    hint: 'Look at the log of the server, and ask again.',
    cause: thrown,
  })
}

function noTokenizer(model: string): ClawmeshError {
  return new ClawmeshError(
    'MODEL_UNSUITED',
    `${model} on Triton takes token ids, and Triton does not tell which words they stand for.`,
    {
      hint: 'Name a model folder with its tokenizer and chat template: grpc://127.0.0.1:8001/MODEL?tokenizer=/FOLDER. `clawmesh models pull NAME --include "*.json"` makes one.',
    },
  )
}

function unknownInput(model: string, input: string): ClawmeshError {
  return new ClawmeshError('MODEL_UNSUITED', `${model} on Triton wants an input ${input}, which is not known here.`, {
    hint: `Known are ${Object.keys(inputs).join(', ')} and past_key_values.N.key|value.`,
  })
}
