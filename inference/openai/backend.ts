import { ClawmeshError } from '../../policies/errors.js'
import {
  awayBy,
  type Backend,
  checkRequest,
  type EmbedEvent,
  type GenerateEvent,
  type GenerateRequest,
  type ModelInfo,
  withoutIt,
} from '../backend.js'
import { findKnown, readCatalogue } from '../catalogue.js'
import { ChatFormat } from '../chat/format.js'
import type { Reasoning } from '../chat/reasoning.js'
import { lastUserText } from '../constrain/span.js'
import type { Modality } from '../place.js'
import { Places } from '../places.js'
import { checkCall } from '../tool.js'
import { localBase } from './address.js'
import { capped, readAnswer } from './answer.js'
import { type Deadlines, Exchange } from './exchange.js'
import { distrust, nameIt, unseen } from './owner.js'
import { kindOf, leavesMachine, listServer, mayBeTried, type ServerKind } from './probe.js'
import { propsOf } from './props.js'
import { serverSentEvents } from './sse.js'
import { bytesPerVector, readVectors } from './vector.js'
import { boundOn, completionBody, excerpt, type ListedModel, type Spoken } from './wire.js'

const awayMs = 2000
/** Side by side, by servers that take as many as their memory has room for, and do not say how many that is. */
const batching: ReadonlySet<ServerKind> = new Set(['vllm', 'sglang', 'nim', 'dynamo'])
const batched = 64

export interface OpenAiOptions {
  /** On this machine, for example http://127.0.0.1:11434. */
  url: string
  /** The first that the server lists, if none is named. */
  model?: string
  /** Nobody named the server, it was found: before each prompt it is looked who runs it now. */
  found?: boolean
  /** Answers side by side, if not as many as the server says or servers of its kind can; and most that wait behind them: 64. */
  slots?: number
  queue?: number
  deadlines?: Deadlines
}

/** A model of an OpenAI-compatible server on this machine: Ollama, vLLM, SGLang, NIM, llama.cpp, Dynamo and their like. */
export class OpenAiBackend implements Backend {
  readonly model: ModelInfo
  readonly mayBeTried: boolean
  readonly slots?: number
  private readonly base: string
  private readonly found: boolean
  private readonly spoken: Spoken
  private readonly deadlines: Deadlines
  private readonly places: Places

  private constructor(
    base: string,
    { model, reasoning, kind, mayBeTried, slots }: Described,
    { found, queue, deadlines }: { found: boolean; queue: number; deadlines: Deadlines },
  ) {
    this.base = base
    this.model = model
    this.mayBeTried = mayBeTried
    if (slots) this.slots = slots
    this.places = new Places(slots, queue)
    this.spoken = { model: model.name, kind, reasoning }
    this.found = found
    this.deadlines = deadlines
  }

  /** Throws DENIED for a server or a model elsewhere or, if it was only found, of another user, MODEL_UNSUITED if it lacks the model, what Exchange throws if it does not answer. */
  static async open(options: OpenAiOptions): Promise<OpenAiBackend> {
    const { url, model, found = false, slots, queue = 64, deadlines = { silence: 120_000, total: 900_000 } } = options
    const ms = Math.min(5000, deadlines.silence)
    if (found) await refuseStranger(localBase(url))
    const { base, kind, models } = await listServer(localBase(url), ms)
    const listed = models.find((each) =>
      model === undefined ? !leavesMachine(each, kind) : each.id === model || each.id === `${model}:latest`,
    )
    if (listed && leavesMachine(listed, kind)) throw computedElsewhere(listed.id)
    if (listed) {
      const said = kind === 'llama.cpp' ? await propsOf(base, ms) : {}
      const described = await describe(listed, kind, said)
      return new OpenAiBackend(base, slots ? { ...described, slots } : described, { found, queue, deadlines })
    }
    throw new ClawmeshError('MODEL_UNSUITED', `The model server at ${base} does not have ${model ?? 'any model'}.`, {
      hint: `It has: ${excerpt(models.map(({ id }) => id).join(', ')) || 'none'}.`,
    })
  }

  async *generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GenerateEvent> {
    const checked = checkRequest(this.model, request)
    yield* this.places.take((ended) => this.answer(checked, ended), signal)
  }

  embed(texts: readonly string[], signal?: AbortSignal): AsyncIterable<EmbedEvent> {
    return this.places.take((ended) => this.vectors(texts, ended), signal)
  }

  async away(): Promise<string | undefined> {
    try {
      const { kind, models } = await listServer(this.base, awayMs)
      // Some servers list their models in another order each time: it is another once none of them is signed as they were.
      const isAnother = models.length > 0 && !models.some((each) => kindOf([each]) === this.spoken.kind)
      if (isAnother) return `another kind of server answers there now (${kind})`
      return models.some(({ id }) => id === this.model.name) ? undefined : withoutIt
    } catch (thrown) {
      return awayBy(thrown)
    }
  }

  async dispose(): Promise<void> {
    this.places.close()
  }

  private async *answer(checked: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateEvent> {
    const body = completionBody(this.spoken, checked)
    const exchange = await this.exchange('chat/completions', signal)
    try {
      const response = await exchange.open({
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
        body,
      })
      const said = capped(exchange.body(response), checked.maxTokens)
      for await (const event of readAnswer(serverSentEvents(said), checked)) {
        if (event.type === 'call') checkCall(event.call, checked.tools ?? [], lastUserText(checked.messages))
        yield event
      }
    } finally {
      exchange.close()
    }
  }

  private async *vectors(texts: readonly string[], signal: AbortSignal): AsyncIterable<EmbedEvent> {
    const exchange = await this.exchange('embeddings', signal)
    try {
      const request = {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: this.model.name, input: texts, encoding_format: 'float' }),
      }
      const response = await exchange.open(request).catch((error: unknown) => {
        throw isForNone(error) ? noEmbeddings(this.model.name, error) : error
      })
      yield* readVectors(await exchange.text(response, 65_536 + texts.length * bytesPerVector), texts.length)
    } finally {
      exchange.close()
    }
  }

  private async exchange(path: string, signal: AbortSignal): Promise<Exchange> {
    if (this.found) await refuseStranger(this.base)
    return new Exchange(`${this.base}/${path}`, this.deadlines, signal)
  }
}

/** No such path, no such model, or not with this one: as servers say that a model makes no vectors. Nothing in a list of models tells it before. */
const isForNone = (error: unknown): error is ClawmeshError =>
  error instanceof ClawmeshError && (error.data['status'] === 404 || error.data['status'] === 501)

const noEmbeddings = (model: string, cause: ClawmeshError) =>
  new ClawmeshError('NOT_FOUND', `${model} makes no embeddings. ${cause.message.replace(/\.?$/, '.')}`, {
    hint: 'Name a model server that does: `--model URL`.',
    cause,
  })

const computedElsewhere = (model: string) =>
  new ClawmeshError('DENIED', `${model} is computed in the cloud of Ollama's makers, not on this machine.`, {
    hint: 'A prompt may leave the machine only where the privacy router has judged it, and this path does not pass it. Name a model that is computed here, or add a provider: `clawmesh models provider add`.',
    data: { model },
  })

async function refuseStranger(base: string): Promise<void> {
  const why = await distrust(base)
  if (why === undefined) return
  // One that is gone is nobody's: that is said, and another machine is asked. The list of models says nothing to anybody.
  if (why === unseen) await listServer(base, awayMs)
  throw new ClawmeshError('DENIED', `The model server at ${base} gets no prompt: ${why}.`, { hint: nameIt })
}

interface Described {
  model: ModelInfo
  kind: ServerKind
  reasoning: Reasoning
  mayBeTried: boolean
  slots?: number
}

/** Few servers say whether a model takes images, and none how it is told to think; of the Nemotron family the catalogue does. */
async function describe(
  listed: ListedModel,
  kind: ServerKind,
  said: { slots?: number; context?: number },
): Promise<Described> {
  const { id, max_model_len, context_window, meta, multimodal } = listed
  const known = findKnown(await readCatalogue(), id)
  const modalities: Modality[] | undefined = multimodal ? ['text', 'image'] : known?.modalities
  const model: ModelInfo = {
    name: id,
    digest: null,
    backend: `openai:${kind}`,
    context: said.context ?? max_model_len ?? context_window ?? meta?.n_ctx ?? meta?.n_ctx_train ?? null,
    ...(meta?.n_params ? { parameters: meta.n_params } : {}),
    ...(modalities ? { modalities } : {}),
    ...(boundOn[kind] ? { boundsThought: true } : {}),
    purpose: 'Served by a program of yours on this machine.',
    limits: 'Not stated by the server.',
  }
  // Most models that can be told react to the template's variable; one that does not know it is not disturbed by it, where it can be set at all.
  const usual = ['vllm', 'sglang', 'nim', 'llama.cpp'].includes(kind) ? 'switch' : 'none'
  const reasoning = known ? (await ChatFormat.named(known.chat)).reasoning : usual
  const slots = said.slots ?? (batching.has(kind) ? batched : undefined)
  return { model, kind, reasoning, mayBeTried: mayBeTried(listed, kind), ...(slots ? { slots } : {}) }
}
