import type { Backend, EmbedEvent, GenerateEvent, GenerateRequest, ModelInfo } from './backend.js'
import { Failing } from './failing.js'
import { learned, type Seen } from './pace.js'
import type { ModelOffer, Speed } from './place.js'
import { tryOut } from './trial.js'
import { credible } from './usage.js'

/** What a model has to do at the moment. */
export interface Load {
  /** Answers under way, and those that wait for a slot. */
  running: number
  queued: number
  /** Tokens, as far as they can be guessed, of the prompts of which nothing was answered yet. */
  queuedTokens: number
}

/** How fast it is, and whether any answer has had a part in that; nothing, where nobody knows. */
export type Pace = Pick<ModelOffer, 'speed' | 'speedFrom'>

interface Asked {
  begun: number
  tokens: number
  /** Nothing else was under way until its first token. */
  isAlone: boolean
  /** It did not have to wait for a slot. */
  atOnce: boolean
  /** Of its words and thoughts; none where a call came first, which comes whole. */
  pieces: number
  firstAt?: number
  lastAt: number
  /** Of `area`, at its first token. */
  areaAtFirst: number
  /** Milliseconds for which it was the reader that was waited for. */
  heldMs: number
}

/** Fewer tokens than this say nothing of a speed: one step more or less is too much of them. */
const tokensThatTell = 16
/** An answer whose reader took longer than this share of its time was not as fast as the model is. */
const readersShare = 0.2

/** Four characters a token is the usual measure for English. */
/** Models cut an image into tiles of 256 tokens or so, as many as its size asks for. */
const tokensOfImage = 1024

export function guessTokens({ messages, tools }: Pick<GenerateRequest, 'messages' | 'tools'>): number {
  const characters = messages.reduce((sum, { content }) => sum + content.length, 0)
  const images = messages.reduce((sum, each) => sum + (each.images?.length ?? 0), 0)
  return tokensOfImage * images + Math.ceil((characters + (tools ? JSON.stringify(tools).length : 0)) / 4)
}

/** A backend that knows what it has to do and how fast it is. What was begun is counted until it ends, however it ends. */
export class MeteredBackend implements Backend {
  readonly model: ModelInfo
  readonly slots: number
  readonly measured: Promise<Speed | undefined>
  readonly embed?: NonNullable<Backend['embed']>
  private readonly backend: Backend
  private readonly asked = new Set<Asked>()
  private readonly failing = new Failing()
  private known: Speed | undefined
  private from: Pace['speedFrom']
  private readonly real = new AbortController()
  private trial: Promise<void> | undefined
  /** It has answered before: servers load a model for the first question, which says nothing of its speed. */
  private isWarm = false
  /** Answers being written, summed over the milliseconds. */
  private area = 0
  private areaAt = performance.now()

  /** `before`: what its pace was when it was last loaded. */
  constructor(backend: Backend, before: Pace = {}) {
    this.backend = backend
    this.model = backend.model
    this.slots = backend.slots ?? 1
    this.known = before.speed ?? backend.speed
    this.from = before.speedFrom ?? 'load'
    const { embed } = backend
    if (embed) this.embed = (texts, signal) => this.embedded(embed.call(backend, texts, signal), texts)
    this.measured = Promise.resolve(backend.measured).then((speed) => {
      this.known ??= speed
      return speed
    })
  }

  get speed(): Speed | undefined {
    return this.known
  }

  get pace(): Pace {
    return this.known ? { speed: this.known, speedFrom: this.from } : {}
  }

  /** Has a model that may be tried, and of which nothing is known, tell its speed. Resolves when it has, or will not: whoever asks something in earnest ends it. */
  tryOut(): Promise<void> {
    if (!this.backend.mayBeTried || this.known || this.real.signal.aborted) return Promise.resolve()
    if (this.trial) return this.trial
    this.trial = tryOut(this.backend, this.real.signal).then((speed) => {
      this.known ??= speed
      this.isWarm ||= speed !== undefined
      this.trial = undefined
    })
    return this.trial
  }

  async away(): Promise<string | undefined> {
    return (await this.backend.away?.()) ?? this.failing.why
  }

  get load(): Load {
    const waiting = [...this.asked].filter(({ firstAt }) => firstAt === undefined)
    const running = Math.min(this.slots, this.asked.size)
    const queuedTokens = waiting.reduce((sum, { tokens }) => sum + tokens, 0)
    return { running, queued: this.asked.size - running, queuedTokens }
  }

  async *generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GenerateEvent> {
    const asked = this.begin(guessTokens(request))
    try {
      // A server of one slot has it free again.
      if (this.trial) await this.trial
      for await (const said of this.backend.generate(request, signal)) {
        const event = said.type === 'done' && said.usage ? { ...said, usage: credible(request, said.usage) } : said
        this.heard(asked, event)
        yield event
        asked.heldMs += performance.now() - asked.lastAt
      }
    } catch (thrown) {
      if (asked.firstAt === undefined) this.failing.failed(thrown)
      throw thrown
    } finally {
      this.end(asked)
    }
  }

  async dispose(): Promise<void> {
    this.begun()
    await this.trial
    await this.backend.dispose()
  }

  /** Somebody asks in earnest: what is tried ends. */
  private begun(): void {
    if (!this.real.signal.aborted) this.real.abort()
  }

  /** Vectors take a server's time as answers do, and say nothing of how fast it writes. */
  private async *embedded(events: AsyncIterable<EmbedEvent>, texts: readonly string[]): AsyncIterable<EmbedEvent> {
    const asked = this.begin(guessTokens({ messages: texts.map((content) => ({ role: 'user', content })) }))
    try {
      yield* events
    } finally {
      this.end(asked)
    }
  }

  private begin(tokens: number): Asked {
    this.begun()
    const begun = performance.now()
    for (const other of this.asked) if (other.firstAt === undefined) other.isAlone = false
    const isAlone = this.asked.size === 0
    const atOnce = this.asked.size < this.slots
    const when = { begun, lastAt: begun, areaAtFirst: 0, heldMs: 0 }
    const asked = { ...when, tokens, isAlone, atOnce, pieces: 0 }
    this.asked.add(asked)
    return asked
  }

  private end(asked: Asked): void {
    this.advance()
    this.asked.delete(asked)
  }

  private heard(asked: Asked, event: GenerateEvent): void {
    this.failing.answered()
    this.advance()
    asked.lastAt = performance.now()
    if (event.type === 'done') this.learn(asked, event)
    const isPiece = event.type === 'token' || event.type === 'thought'
    if (isPiece && (asked.firstAt === undefined || asked.pieces > 0)) asked.pieces += 1
    if (asked.firstAt !== undefined) return
    asked.firstAt = asked.lastAt
    asked.areaAtFirst = this.area
  }

  private learn(asked: Asked, { usage }: GenerateEvent & { type: 'done' }): void {
    const { begun, firstAt, lastAt, areaAtFirst, heldMs, isAlone, atOnce, pieces } = asked
    if (!usage) return
    const [read, written] = [usage.promptTokens - (usage.cachedTokens ?? 0), usage.outputTokens]
    // Some servers send many tokens at once: when the first of them was there, nobody knows.
    const inPieces = pieces > 1 || (pieces === 1 && written <= tokensThatTell)
    const seen: Seen = {}
    if (inPieces && firstAt !== undefined) {
      const [readMs, ms] = [firstAt - begun, lastAt - firstAt]
      if (isAlone && read >= tokensThatTell && readMs > 0) seen.prefill = (1000 * read) / readMs
      if (written > tokensThatTell && ms > 0 && heldMs < ms * readersShare)
        seen.decode = { rate: (1000 * (written - 1)) / ms, among: Math.max(1, (this.area - areaAtFirst) / ms) }
    } else if (atOnce && this.known && lastAt > begun) {
      const guess = 1000 * (read / this.known.prefill + written / this.known.decode)
      seen.ratio = guess / (lastAt - begun)
    }
    // Of calls, and of answers of a few words, only the whole can be timed: a beginning, where nothing else will measure it.
    if (
      this.isWarm &&
      !this.backend.measured &&
      atOnce &&
      read + written >= tokensThatTell &&
      written > 0 &&
      lastAt > begun
    )
      seen.whole = { read, written, ms: lastAt - begun }
    this.isWarm = true
    const known = learned(this.known, seen, this.slots)
    if (Object.keys(seen).length > 0) this.from = 'answers'
    this.known = known
  }

  /** Brings `area` up to now. */
  private advance(): void {
    const now = performance.now()
    let writing = 0
    for (const { firstAt } of this.asked) if (firstAt !== undefined) writing++
    this.area += writing * (now - this.areaAt)
    this.areaAt = now
  }
}
