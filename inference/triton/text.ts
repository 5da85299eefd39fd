import { randomUUID } from 'node:crypto'
import { ClawmeshError } from '../../policies/errors.js'
import {
  type Backend,
  type ChatMessage,
  checkRequest,
  type GenerateEvent,
  type GenerateRequest,
  type ModelInfo,
} from '../backend.js'
import { AnswerReader } from '../chat/answer.js'
import { ChatFormat, formatNames, formatOf } from '../chat/format.js'
import { lastUserText } from '../constrain/span.js'
import { Places } from '../places.js'
import { checkCall } from '../tool.js'
import type { Deadlines, TritonClient } from './client.js'
import { type Dialect, dialectOf, readPiece } from './dialect.js'
import type { InferRequest, InferResponse } from './protocol.js'
import { awayFrom, giveBack, type Served } from './served.js'
import { Tally } from './tally.js'
import { decodeTensor, decodeText, encodeTensor, type OutputTensor, type TensorValue } from './tensor.js'

/** Most milliseconds that are waited for the answer to a stop. */
const stopMs = 1000

/**
 * A language model on a Triton server on this machine that takes and gives text.
 *
 * 1. Each answer has a stream of its own. Cancelling it, or leaving the loop, ends the RPC and with it the server's work; a model that can be told by the request's id is told.
 * 2. An answer ends with the response that Triton marks as final; a stream that ends without one is a failure.
 * 3. What a server may send for one answer is bounded by what was asked for.
 * 4. A model that was loaded for this is unloaded in the end; one that was loaded before stays.
 */
export class TextBackend implements Backend {
  readonly model: ModelInfo
  readonly mayBeTried = true
  readonly slots: number
  private readonly client: TritonClient
  private readonly served: Served
  private readonly dialect: Dialect
  private readonly format: ChatFormat
  private readonly deadlines: Deadlines
  private readonly places: Places
  /** Stops that were not answered yet. */
  private readonly stopping = new Set<Promise<void>>()

  private constructor(
    client: TritonClient,
    served: Served,
    dialect: Dialect,
    format: ChatFormat,
    { slots, queue, deadlines }: { slots: number; queue: number; deadlines: Deadlines },
  ) {
    this.client = client
    this.served = served
    this.dialect = dialect
    this.format = format
    this.slots = slots
    this.deadlines = deadlines
    this.places = new Places(slots, queue)
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

  /** `chat`: the format that the person named. Throws MODEL_UNSUITED for no language model, and where nobody says which format it is talked to in. */
  static async open(
    client: TritonClient,
    served: Served,
    chat: string | undefined,
    { slots = 64, queue, deadlines }: { slots?: number | undefined; queue: number; deadlines: Deadlines },
  ): Promise<TextBackend> {
    const { name, inputs, parameters } = served
    const dialect = dialectOf(name, inputs, parameters)
    const format = await ChatFormat.named(chat ?? parameters.chat_format ?? formatOf(name) ?? noFormat(name))
    return new TextBackend(client, served, dialect, format, { slots, queue, deadlines })
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
    await Promise.all(this.stopping)
    await this.client.ended()
    if (this.served.borrowed) await giveBack(this.client, this.served.name, this.deadlines.silence)
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
    let isUnderWay = true
    const stop = (): void => {
      if (isUnderWay) this.stop(request.id)
      isUnderWay = false
    }
    // Before the stream hears of it: the model knows no id any more once it has seen that its RPC is gone.
    signal.addEventListener('abort', stop)
    try {
      for await (const response of this.client.stream(request, this.deadlines, signal)) {
        const outputs = outputsOf(response)
        // The final response may be empty: it only says so.
        if (outputs.length > 0) yield tally.take(readPiece(outputs))
        isUnderWay = !response.parameters.triton_final_response?.bool_param
        if (!isUnderWay) return
      }
      isUnderWay = false
    } finally {
      signal.removeEventListener('abort', stop)
      stop()
    }
    throw new ClawmeshError(
      'MODEL_FAILED',
      `Triton at ${this.client.target} ended the stream in the middle of the answer.`,
      {
        hint: 'Look at the log of the server, and ask again.',
      },
    )
  }

  /** Tells the model itself that an answer is not wanted any more, where its dialect has a word for that (invariant 1). Whether it hears it is its own affair: the RPC ends as well. */
  private stop(id: string): void {
    const { stop } = this.dialect
    if (!stop || !this.served.inputs.some(({ name }) => name === 'stop')) return
    const asked = this.client.stream({ ...this.request(stop), id }, { silence: stopMs, total: stopMs })
    const told = (async () => {
      for await (const _ of asked);
    })().catch(() => {})
    this.stopping.add(told)
    void told.finally(() => this.stopping.delete(told))
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

/** The message with a mark for each of its images before its words; what a person wrote is no such mark. */
function withMarks({ role, content, images = [] }: ChatMessage, mark: string): ChatMessage {
  const words = content.replaceAll(mark, `${mark[0]}\u200b${mark.slice(1)}`)
  return { role, content: `${`${mark}\n`.repeat(images.length)}${words}` }
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

function noFormat(model: string): never {
  throw new ClawmeshError(
    'MODEL_UNSUITED',
    `The name ${model} does not say in which form it wants its prompts, and Triton does not tell.`,
    {
      hint: `Put ?chat=FORMAT behind the address, or a parameter chat_format into its config.pbtxt. There are: ${formatNames.join(', ')}.`,
    },
  )
}
