import { ClawmeshError } from '../../policies/errors.js'
import type { GenerateEvent, GenerateRequest } from '../backend.js'
import { AnswerReader } from '../chat/answer.js'
import { type CallState, openCall } from '../constrain/automaton.js'
import { ruleOf } from '../constrain/rule.js'
import { lastUserText, spansOf } from '../constrain/span.js'
import type { Vocabulary } from '../constrain/vocabulary.js'
import type { ModelConfig } from './config.js'
import type { Cache, Graph } from './graph.js'
import { pick, type Random, seeded } from './random.js'
import { type Text, TextStream } from './text.js'

/** What the sequences of one loaded model share. */
export interface Loaded {
  config: ModelConfig
  text: Text
  vocabulary: Vocabulary
  graph: Graph
}

/** What decides the next token of an answer, and what becomes of it. */
interface Writer {
  /** The tokens that may come next; of one alone the graph is not asked. */
  allowed(): readonly number[]
  /** Takes a token; says why the answer ends with it, if it does. */
  take(token: number): 'stop' | 'call' | undefined
  /** The room is used up. Throws if what is written so far is no answer. */
  cut(): void
}

/** One answer in the making. Between two steps it can be dropped at no cost. */
export class Sequence {
  private readonly loaded: Loaded
  private readonly temperature: number
  private readonly random: Random
  private readonly writer: Writer
  private readonly emit: (event: GenerateEvent) => void
  private readonly promptTokens: number
  private readonly room: number
  private pending: number[]
  private cache: Cache
  private outputTokens = 0

  /** Throws MODEL_UNSUITED if the prompt does not fit or the tools cannot be called. */
  constructor(loaded: Loaded, request: GenerateRequest, emit: (event: GenerateEvent) => void) {
    const { config, text, graph } = loaded
    this.loaded = loaded
    this.emit = emit
    this.temperature = request.temperature
    this.random = seeded(request.seed ?? Math.floor(Math.random() * 0x1_0000_0000))
    const writesText = request.tools === undefined || (config.calls !== 'compact' && text.takesTools)
    const { ids, thinking } = writesText
      ? text.conversation(request)
      : { ids: text.prompt(request.messages), thinking: false }
    this.writer = writesText ? textWriter(loaded, request, thinking, emit) : callWriter(loaded, request, emit)
    this.pending = ids
    this.promptTokens = this.pending.length
    this.cache = graph.empty()
    if (this.promptTokens >= config.shape.context) throw tooLong(config, this.promptTokens)
    this.room = Math.min(request.maxTokens, config.shape.context - this.promptTokens)
  }

  /** Computes one token, takes those that must follow it, and says whether the answer is finished. Throws MODEL_FAILED. */
  async step(): Promise<boolean> {
    if (this.cache.length === 0 && this.followForced()) return true
    const { logits, cache } = await this.loaded.graph.run(this.pending, this.cache)
    this.cache = cache
    this.pending = []
    return this.take(pick(logits, this.writer.allowed(), this.temperature, this.random)) || this.followForced()
  }

  /** Where only one token may follow, it is taken unasked and fed together with what comes next. */
  private followForced(): boolean {
    for (let only = this.forced(); only !== undefined; only = this.forced()) if (this.take(only)) return true
    return false
  }

  private forced(): number | undefined {
    const allowed = this.writer.allowed()
    if (allowed.length === 0)
      throw new ClawmeshError('MODEL_FAILED', 'None of the offered tools can be called for this request.', {
        hint: 'Name the file or the text that the request is about.',
        data: { unusable: true },
      })
    return allowed.length === 1 ? allowed[0] : undefined
  }

  private take(token: number): boolean {
    this.outputTokens++
    this.pending.push(token)
    const end = this.writer.take(token)
    if (end === undefined && this.outputTokens < this.room) return false
    if (end === undefined) this.writer.cut()
    const usage = { promptTokens: this.promptTokens, outputTokens: this.outputTokens }
    this.emit({ type: 'done', reason: end ?? 'length', usage })
    return true
  }
}

/** Text until one of the model's end tokens, with thoughts and calls told apart. No special token is written but those that mark them. */
function textWriter(
  { config, text }: Loaded,
  { tools }: GenerateRequest,
  thinking: boolean,
  emit: (event: GenerateEvent) => void,
): Writer {
  const { vocabulary, ends } = config.shape
  const special = new Set(text.special.values())
  const allowed = Array.from({ length: vocabulary }, (_, id) => id).filter(
    (id) => ends.includes(id) || text.marks.has(id) || (!special.has(id) && text.spelling(id) !== undefined),
  )
  const stream = new TextStream(text)
  const reader = new AnswerReader({ tools, thinking })
  let calls = 0
  const give = (parts: Exclude<GenerateEvent, { type: 'done' }>[]): void => {
    for (const part of parts) {
      if (part.type === 'call') calls++
      emit(part)
    }
  }
  return {
    allowed: () => allowed,
    take: (token) => {
      const isEnd = ends.includes(token)
      const mark = text.marks.get(token)
      give(reader.push(isEnd || mark !== undefined ? stream.flush() + (mark ?? '') : stream.push(token)))
      if (!isEnd) return undefined
      give(reader.end())
      return calls > 0 ? 'call' : 'stop'
    },
    cut: () => {
      give(reader.push(stream.flush()))
      give(reader.end())
    },
  }
}

/** A call of one of the offered tools, and nothing else. */
function callWriter(loaded: Loaded, request: GenerateRequest, emit: (event: GenerateEvent) => void): Writer {
  const { config, vocabulary } = loaded
  if (config.calls !== 'compact' || !vocabulary.writesCalls)
    throw new ClawmeshError('MODEL_UNSUITED', `${config.info.name} writes tool calls in a way that is not read here.`, {
      hint: 'Ask it without tools, or use a model with the compact call format.',
    })
  let state: CallState = openCall((request.tools ?? []).map(ruleOf), spansOf(lastUserText(request.messages)))
  return {
    allowed: () => vocabulary.allowed(state),
    take: (token) => {
      state = vocabulary.advance(state, token)
      if (!state.call) return undefined
      emit({ type: 'call', call: state.call })
      return 'call'
    },
    cut: () => {
      throw new ClawmeshError('MODEL_FAILED', 'The tool call did not come to its end within the tokens it was given.', {
        hint: 'Raise maxTokens, or shorten the request.',
        data: { unusable: true },
      })
    },
  }
}

function tooLong(config: ModelConfig, tokens: number): ClawmeshError {
  return new ClawmeshError(
    'MODEL_UNSUITED',
    `The prompt has ${tokens} tokens, and ${config.info.name} takes fewer than ${config.shape.context}.`,
    {
      hint: 'Shorten the request, or use a model with a longer context.',
      data: { tokens, context: config.shape.context },
    },
  )
}
