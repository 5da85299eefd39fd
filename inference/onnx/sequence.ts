import { ClawmeshError } from '../../policies/errors.js'
import type { GenerateEvent, GenerateRequest, Resume } from '../backend.js'
import type { ModelConfig } from './config.js'
import { pick, type Random, seeded } from './random.js'
import type { Work } from './scheduler.js'
import { callWriter, type Loaded, textWriter, type Writer, type Written } from './writer.js'

/**
 * One answer in the making: its tokens, and how the next one is chosen. Who computes it, and beside whom, makes no difference.
 *
 * 1. Each event says which tokens are behind it, so that whoever has the events has the tokens.
 * 2. An answer that is gone on with takes the tokens that it had, as they were chosen then, and says what was not said of them: the rest is what it would have been.
 */
export class Sequence implements Work {
  readonly tokens: number[]
  readonly promptTokens: number
  readonly mostTokens: number
  cachedTokens = 0
  private readonly temperature: number
  private readonly random: Random
  private readonly writer: Writer
  private readonly emit: (event: GenerateEvent) => void
  private readonly resume: Resume | undefined
  /** Tokens that no event has told of yet. */
  private untold: number[] = []
  /** Events that were delivered before. */
  private silent = 0

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
    const say = (event: Written): void => this.say(event)
    this.writer = writesText ? textWriter(loaded, request, thinking, say) : callWriter(loaded, request, say)
    this.resume = request.resume
    this.tokens = ids
    this.promptTokens = ids.length
    this.mostTokens = Math.min(ids.length + request.maxTokens, config.shape.context)
  }

  begin(): boolean {
    const { ids, said } = this.resume ?? { ids: [], said: 0 }
    for (const [i, id] of ids.entries()) {
      this.silent = i < ids.length - 1 ? Number.POSITIVE_INFINITY : said
      if (this.repeat(id)) return true
    }
    this.silent = 0
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

  /** Takes a token as it was chosen before, with the draw that it took. */
  private repeat(token: number): boolean {
    const allowed = this.writer.allowed()
    if (!allowed.includes(token))
      throw new ClawmeshError('MODEL_UNSUITED', 'The answer that was begun is none of this model to this request.', {
        hint: 'Ask again from the beginning.',
      })
    if (allowed.length > 1 && this.temperature > 0) this.random()
    return this.accept(token)
  }

  private say(event: Written): void {
    const ids = this.untold
    this.untold = []
    if (this.silent > 0) this.silent--
    else this.emit({ ...event, ids })
  }

  private accept(token: number): boolean {
    this.tokens.push(token)
    this.untold.push(token)
    const end = this.writer.take(token)
    if (end === undefined && this.tokens.length < this.mostTokens) return false
    if (end === undefined) this.writer.cut()
    const outputTokens = this.tokens.length - this.promptTokens
    const cachedTokens = Math.min(this.promptTokens, this.cachedTokens)
    const cached = cachedTokens > 0 ? { cachedTokens } : {}
    const usage = { promptTokens: this.promptTokens, outputTokens, ...cached }
    this.emit({ type: 'done', reason: end ?? 'length', usage })
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
