import { ClawmeshError } from '../../policies/errors.js'
import type { GenerateEvent, GenerateRequest } from '../backend.js'
import type { ModelConfig } from './config.js'
import { pick, type Random, seeded } from './random.js'
import type { Work } from './scheduler.js'
import { callWriter, type Loaded, textWriter, type Writer } from './writer.js'

/** One answer in the making: its tokens, and how the next one is chosen. Who computes it, and beside whom, makes no difference. */
export class Sequence implements Work {
  readonly tokens: number[]
  readonly promptTokens: number
  readonly mostTokens: number
  private readonly temperature: number
  private readonly random: Random
  private readonly writer: Writer
  private readonly emit: (event: GenerateEvent) => void

  /** Throws MODEL_UNSUITED if the prompt does not fit or the tools cannot be called. */
  constructor(loaded: Loaded, request: GenerateRequest, emit: (event: GenerateEvent) => void) {
    const { config, text } = loaded
    this.emit = emit
    this.temperature = request.temperature
    this.random = seeded(request.seed ?? Math.floor(Math.random() * 0x1_0000_0000))
    const writesText = request.tools === undefined || (config.calls !== 'compact' && text.takesTools)
    const { ids, thinking } = writesText
      ? text.conversation(request)
      : { ids: text.prompt(request.messages), thinking: false }
    if (ids.length >= config.shape.context) throw tooLong(config, ids.length)
    this.writer = writesText ? textWriter(loaded, request, thinking, emit) : callWriter(loaded, request, emit)
    this.tokens = ids
    this.promptTokens = ids.length
    this.mostTokens = Math.min(ids.length + request.maxTokens, config.shape.context)
  }

  begin(): boolean {
    return this.followForced()
  }

  /** Picks the next token, takes those that must follow it, and says whether the answer is finished. Throws MODEL_FAILED. */
  take(logits: Float32Array): boolean {
    return this.accept(pick(logits, this.writer.allowed(), this.temperature, this.random)) || this.followForced()
  }

  /** Where only one token may follow, it is taken unasked and fed together with what comes next. */
  private followForced(): boolean {
    for (let only = this.forced(); only !== undefined; only = this.forced()) if (this.accept(only)) return true
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

  private accept(token: number): boolean {
    this.tokens.push(token)
    const end = this.writer.take(token)
    if (end === undefined && this.tokens.length < this.mostTokens) return false
    if (end === undefined) this.writer.cut()
    const outputTokens = this.tokens.length - this.promptTokens
    this.emit({ type: 'done', reason: end ?? 'length', usage: { promptTokens: this.promptTokens, outputTokens } })
    return true
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
