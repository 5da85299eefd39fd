import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { ClawmeshError } from '../../policies/errors.js'
import {
  type Backend,
  type ChatMessage,
  cancelled,
  checkRequest,
  type GenerateEvent,
  type GenerateRequest,
  type ModelInfo,
} from '../backend.js'
import { findKnown, readCatalogue } from '../catalogue.js'
import { AnswerReader } from '../chat/answer.js'
import { ChatFormat, formatNames, formatOf } from '../chat/format.js'
import { lastUserText } from '../constrain/span.js'
import { saysSo } from '../onnx/memory.js'
import { checkCall } from '../tool.js'
import { parseTritonUrl } from './address.js'
import { type Deadlines, TritonClient } from './client.js'
import { type Dialect, dialectOf, readPiece } from './dialect.js'
import type { InferRequest, InferResponse } from './protocol.js'
import { Tally } from './tally.js'
import {
  decodeTensor,
  decodeText,
  encodeTensor,
  type OutputTensor,
  type TensorInfo,
  type TensorValue,
} from './tensor.js'

export interface TritonOptions {
  /** On this machine: grpc://127.0.0.1:8001/MODEL?chat=FORMAT. */
  url: string
  /** Answers under way at once; one more is refused. */
  slots?: number
  deadlines?: Deadlines
  /** Most milliseconds that a load may take. */
  loadMs?: number
}

/** What a server says of one of its models. */
interface Served {
  name: string
  version: string
  inputs: readonly TensorInfo[]
  parameters: Readonly<Record<string, string>>
  decoupled: boolean
  /** What stands in the prompt for an image; undefined: it is shown none. */
  imageMark: string | undefined
}

const openingMs = 5000
const usualLoadMs = 600_000

/**
 * A language model on a Triton server on this machine.
 *
 * 1. Each answer has a stream of its own. Cancelling it, or leaving the loop, ends the RPC and with it the server's work.
 * 2. An answer ends with the response that Triton marks as final; a stream that ends without one is a failure.
 * 3. What a server may send for one answer is bounded by what was asked for.
 * 4. A model that was named and is not loaded is loaded, and unloaded in the end; one that was loaded before stays.
 */
export class TritonBackend implements Backend {
  readonly model: ModelInfo
  readonly slots: number
  private readonly client: TritonClient
  private readonly served: Served
  private readonly dialect: Dialect
  private readonly format: ChatFormat
  /** It was not loaded before it was asked for here, so it leaves with this backend (invariant 4). */
  private readonly borrowed: boolean
  private readonly deadlines: Deadlines
  private readonly closing = new AbortController()
  private readonly running = new Set<symbol>()

  private constructor(
    client: TritonClient,
    served: Served,
    dialect: Dialect,
    format: ChatFormat,
    options: TritonOptions & { borrowed: boolean },
  ) {
    this.client = client
    this.served = served
    this.dialect = dialect
    this.format = format
    this.borrowed = options.borrowed
    this.slots = options.slots ?? 64
    this.deadlines = options.deadlines ?? { silence: 120_000, total: 900_000 }
    // Each answer under way listens.
    setMaxListeners(0, this.closing.signal)
    this.model = {
      name: served.name,
      digest: null,
      backend: `triton:${dialect.name}`,
      context: contextOf(served.parameters),
      ...(served.imageMark === undefined ? {} : { modalities: ['text', 'image'] }),
      purpose: `Served by Triton ${served.version} on this machine, spoken to as ${format.name}.`,
      limits: 'Not stated by the server.',
    }
  }

  /** Throws DENIED for a server elsewhere, USAGE for a URL that is none, MODEL_UNSUITED for a model that is not there or no language model. */
  static async open(options: TritonOptions): Promise<TritonBackend> {
    const { target, model, chat } = parseTritonUrl(options.url)
    const client = new TritonClient(target)
    let borrowed: string | undefined
    try {
      const name = model ?? (await onlyModel(client))
      if (await ensureLoaded(client, name, options.loadMs ?? usualLoadMs)) borrowed = name
      const served = await look(client, name)
      const dialect = dialectOf(served.name, served.inputs, served.parameters)
      const format = await ChatFormat.named(
        chat ?? served.parameters.chat_format ?? formatOf(served.name) ?? noFormat(served.name),
      )
      return new TritonBackend(client, served, dialect, format, { ...options, borrowed: borrowed !== undefined })
    } catch (thrown) {
      if (borrowed !== undefined) await giveBack(client, borrowed)
      client.close()
      throw thrown
    }
  }

  async *generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GenerateEvent> {
    const checked = checkRequest(this.model, request)
    if (checked.thoughtTokens !== undefined && checked.thinking !== false)
      throw new ClawmeshError('MODEL_UNSUITED', `Triton does not bound how long ${this.model.name} thinks.`, {
        hint: 'Leave the bound out, have it not think at all, or ask a model on vLLM, NIM or the built-in backend.',
      })
    const { signal: closed } = this.closing
    if (closed.aborted || signal?.aborted) throw cancelled()
    if (this.running.size >= this.slots) throw busy(this.slots)
    const slot = Symbol()
    const free = (): boolean => this.running.delete(slot)
    this.running.add(slot)
    // Whoever cancels may ask again at once, before the answer has come to its end.
    signal?.addEventListener('abort', free)
    try {
      yield* this.answer(checked, signal ? AbortSignal.any([signal, closed]) : closed)
    } finally {
      free()
      signal?.removeEventListener('abort', free)
    }
  }

  async dispose(): Promise<void> {
    if (this.closing.signal.aborted) return
    this.closing.abort()
    if (this.borrowed) await giveBack(this.client, this.served.name)
    this.client.close()
  }

  private async *answer(request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateEvent> {
    const { messages, tools, thinking, maxTokens, temperature, seed } = request
    const { imageMark } = this.served
    const shown = imageMark === undefined ? messages : messages.map((message) => withMarks(message, imageMark))
    const prompt = this.format.prompt({ messages: shown, tools, thinking })
    const question = {
      prompt: prompt.text,
      stops: prompt.stops,
      images: messages.flatMap(({ images = [] }) => images.map(({ data }) => data)),
      maxTokens,
      temperature,
      seed,
      stream: this.served.decoupled,
    }
    const reader = new AnswerReader({ tools, thinking: prompt.thinking })
    const tally = new Tally(maxTokens, this.dialect.text, this.excludesPrompt() ? '' : prompt.text, prompt.stops)
    let calls = 0
    const parts = function* (events: Iterable<Exclude<GenerateEvent, { type: 'done' }>>): Iterable<GenerateEvent> {
      for (const event of events) {
        if (event.type === 'call') {
          checkCall(event.call, tools ?? [], lastUserText(messages))
          calls++
        }
        yield event
      }
    }
    for await (const text of this.texts(this.request(this.dialect.inputs(question)), tally, signal))
      yield* parts(reader.push(text))
    const { reason, usage } = tally.end()
    yield* parts(reader.push(tally.rest()))
    yield* parts(reader.end())
    yield { type: 'done', reason: calls > 0 ? 'call' : reason, usage }
  }

  /** New text as it comes, to the response that is marked as final (invariant 2). */
  private async *texts(request: InferRequest, tally: Tally, signal: AbortSignal): AsyncIterable<string> {
    for await (const response of this.client.stream(request, this.deadlines, signal)) {
      const outputs = outputsOf(response)
      // The final response may be empty: it only says so.
      if (outputs.length > 0) yield tally.take(readPiece(outputs))
      if (response.parameters.triton_final_response?.bool_param) return
    }
    throw new ClawmeshError(
      'MODEL_FAILED',
      `Triton at ${this.client.target} ended the stream in the middle of the answer.`,
      {
        hint: 'Look at the log of the server, and ask again.',
      },
    )
  }

  private request(values: Record<string, TensorValue>): InferRequest {
    const inputs: InferRequest['inputs'] = []
    const raw: Buffer[] = []
    for (const { name, datatype, shape } of this.served.inputs) {
      const value = values[name]
      if (value === undefined) continue
      const tensor = encodeTensor(datatype, value)
      // The last dimension counts the elements; one before it is the batch.
      inputs.push({ name, datatype, shape: shape.map((_, i) => (i === shape.length - 1 ? tensor.count : 1)) })
      raw.push(tensor.raw)
    }
    return {
      model_name: this.served.name,
      id: randomUUID(),
      parameters: { triton_enable_empty_final_response: { bool_param: true } },
      inputs,
      raw_input_contents: raw,
    }
  }

  private excludesPrompt(): boolean {
    return this.served.inputs.some(({ name }) => /exclude_input_(in|from)_output$/.test(name))
  }
}

/** Whether it had to be loaded for this. Throws MODEL_UNSUITED for what the repository does not have, MEMORY_FULL, MODEL_BUSY while somebody else loads it. */
async function ensureLoaded(client: TritonClient, name: string, ms: number): Promise<boolean> {
  const index = await client.ask('RepositoryIndex', {}, openingMs)
  const versions = index.filter((each) => each.name === name)
  const { ready } = versions.length > 0 ? await client.ask('ModelReady', { name }, openingMs) : { ready: false }
  if (ready) return false
  if (versions.length === 0)
    throw new ClawmeshError('MODEL_UNSUITED', `Triton at ${client.target} has no model ${name}.`, {
      hint: `Its repository has: ${[...new Set(index.map((each) => each.name))].join(', ') || 'none'}.`,
    })
  if (versions.some(({ state }) => state === 'LOADING'))
    throw new ClawmeshError('MODEL_BUSY', `${name} is not ready on Triton at ${client.target}.`, {
      hint: 'It is still being loaded: try again in a moment.',
    })
  await client.ask('RepositoryModelLoad', { model_name: name }, ms).catch((thrown: unknown) => {
    if (saysSo(String(thrown))) throw noMemory(name, thrown)
    // A server that has loaded all of its models at the start lets nobody load one.
    if (!/explicit model load/i.test(String(thrown))) throw thrown
    throw new ClawmeshError('MODEL_UNSUITED', `${name} is not loaded on Triton at ${client.target}.`, {
      hint: 'Start the server with --model-control-mode=explicit, so that models can be loaded, or name one that is ready.',
      cause: thrown,
    })
  })
  return true
}

/** A server that is gone holds nothing any more. */
async function giveBack(client: TritonClient, name: string): Promise<void> {
  await client.ask('RepositoryModelUnload', { model_name: name }, openingMs).catch(() => {})
}

async function look(client: TritonClient, name: string): Promise<Served> {
  const [server, { inputs }, { parameters, decoupled }, catalogue] = await Promise.all([
    client.ask('ServerMetadata', {}, openingMs),
    client.ask('ModelMetadata', { name }, openingMs),
    client.ask('ModelConfig', { name }, openingMs),
    readCatalogue(),
  ])
  const sees = findKnown(catalogue, name)?.modalities.includes('image') ? '<image>' : undefined
  // vLLM's backend lists the input for every model, so that alone says nothing of what the model takes.
  const imageMark = inputs.some((input) => input.name === 'image') ? (parameters.image_mark ?? sees) : undefined
  return { name, version: server.version, inputs, parameters, decoupled, imageMark }
}

/** The message with a mark for each of its images before its words; what a person wrote is no such mark. */
function withMarks({ role, content, images = [] }: ChatMessage, mark: string): ChatMessage {
  const words = content.replaceAll(mark, `${mark[0]}\u200b${mark.slice(1)}`)
  return { role, content: `${`${mark}\n`.repeat(images.length)}${words}` }
}

function noMemory(name: string, cause: unknown): ClawmeshError {
  return new ClawmeshError('MEMORY_FULL', `Triton has not the memory to load ${name}.`, {
    hint: 'Unload another model, or use a smaller one, or one of fewer bits.',
    cause,
  })
}

async function onlyModel(client: TritonClient): Promise<string> {
  const models = await client.ask('RepositoryIndex', { ready: true }, openingMs)
  const names = [...new Set(models.map(({ name }) => name))]
  const [first, second] = names
  if (first !== undefined && second === undefined) return first
  throw new ClawmeshError(
    'MODEL_UNSUITED',
    `Triton at ${client.target} has ${names.length === 0 ? 'no model that is ready' : `${names.length} models`}.`,
    {
      hint: names.length === 0 ? 'Load a model first.' : `Name one behind the address: ${names.join(', ')}.`,
    },
  )
}

function outputsOf({ outputs, raw_output_contents: raw }: InferResponse): OutputTensor[] {
  return outputs.map(({ name, datatype, contents }, i) => {
    const bytes = raw[i]
    if (bytes) return decodeTensor(name, datatype, bytes)
    return { name, values: (contents?.bytes_contents ?? []).map((text) => decodeText(name, text)) }
  })
}

function contextOf(parameters: Readonly<Record<string, string>>): number | null {
  const stated = Number(parameters.max_model_len ?? parameters.max_sequence_length)
  return Number.isSafeInteger(stated) && stated > 0 ? stated : null
}

function busy(slots: number): ClawmeshError {
  return new ClawmeshError('MODEL_BUSY', `The model has ${slots} answers under way.`, {
    hint: 'Ask again in a moment.',
  })
}

function noFormat(model: string): never {
  throw new ClawmeshError(
    'MODEL_UNSUITED',
    `The name ${model} does not say in which form it wants its prompts, and Triton does not tell.`,
    {
      hint: `Put ?chat=FORMAT behind the address, or a parameter chat_format into its config.pbtxt. There are: ${formatNames.join(', ')}.`,
    },
  )
}
