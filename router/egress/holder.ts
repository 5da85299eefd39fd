/**
 * The process that holds the keys, from here: started when something is first to leave, or before.
 *
 *   1. No key is in this process. It hands over what the store has sealed, and what opens it, and forgets the process with its end.
 *   2. A question is told to one process, once. One that ends in the middle fails what it was asked, as if the provider had broken off: it may have been reached.
 *   3. No more than `most` questions are asked at once, and of no answer more than a window waits here.
 *   4. One that is old, or finds nobody any more, answers what it was asked and is replaced: names are looked up anew by the next.
 */
import { fileURLToPath } from 'node:url'
import { ClawmeshError } from '../../policies/errors.js'
import type { Delta } from '../provider/form.js'
import type { ProviderStore, Providers } from '../provider/store.js'
import type { Channel, StartHolder } from './channel.js'
import type { Destination } from './clearance.js'
import { broken, failed, givenUp } from './failed.js'
import { encodeFrame, type Frame, type FrameKind, FrameReader, frameKinds, jsonBody, mostAnswerBytes } from './frame.js'
import { deltaSchema, failureSchema, type Opening, windowBytes } from './protocol.js'
import { newTokenKey, TokenMint } from './token.js'
import { unanswered } from './unanswered.js'

export const holderModule = fileURLToPath(new URL('./child.js', import.meta.url))

export interface HolderOptions {
  readonly start: StartHolder
  readonly providers: Providers
  readonly unsealing: ProviderStore['unsealing']
  /** Most milliseconds until it has opened the keys. */
  readonly loadMs: number
  /** Most questions at once. */
  readonly most: number
  /** Of one that is older nothing more is asked. */
  readonly oldMs: number
  /** One that has lived shorter than this is not replaced for finding nobody. */
  readonly provedMs: number
}

export class Holder {
  readonly #options: HolderOptions
  #running: Promise<Running> | undefined

  constructor(options: Pick<HolderOptions, 'start' | 'providers' | 'unsealing'> & Partial<HolderOptions>) {
    this.#options = { loadMs: 30_000, most: 64, oldMs: 12 * 3_600_000, provedMs: 60_000, ...options }
  }

  /** Starts it where none is there. Rejects with MODEL_BUSY where it cannot be started. */
  async ready(): Promise<void> {
    await this.#current()
  }

  /** @throws ClawmeshError as the process says, MODEL_BUSY if it ends or cannot be started, CANCELLED */
  async *ask(destination: Destination, body: Uint8Array, signal: AbortSignal): AsyncGenerator<Delta> {
    if (signal.aborted) throw givenUp(signal.reason)
    const [running, starting] = await unlessAborted(this.#current(), signal)
    try {
      yield* running.ask(destination, body, signal)
    } catch (error) {
      // Only what the system says of a connection comes with a cause.
      const isLost = error instanceof ClawmeshError && error.code !== 'CANCELLED' && error.cause !== undefined
      if (isLost && running.ageMs > this.#options.provedMs) this.#replace(running, starting)
      throw error
    }
  }

  close(): void {
    this.#running?.then((running) => running.end('it was closed')).catch(() => undefined)
    this.#running = undefined
  }

  /** Beside it, what it came of. */
  async #current(): Promise<[Running, Promise<Running>]> {
    for (;;) {
      const starting = this.#running ?? this.#start()
      const running = await starting
      if (!running.hasEnded && running.ageMs < this.#options.oldMs) return [running, starting]
      this.#replace(running, starting)
    }
  }

  #start(): Promise<Running> {
    const starting = Running.start(this.#options)
    this.#running = starting
    starting.catch(() => {
      if (this.#running === starting) this.#running = undefined
    })
    return starting
  }

  /** One that another question has replaced before leaves its successor where it is: nobody else would end that. */
  #replace(running: Running, starting: Promise<Running>): void {
    if (this.#running === starting) this.#running = undefined
    running.retire()
  }
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(givenUp(signal.reason))
    signal.addEventListener('abort', giveUp, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp))
  })
}

interface Question {
  readonly provider: string
  readonly waiting: { readonly delta: Delta; readonly bytes: number }[]
  /** Of deltas that came and are not yet said to be taken; and of those among them that were. */
  outside: number
  taken: number
  isWhole: boolean
  failure: Error | undefined
  wake(): void
}

/** One process, from its start to its end. */
class Running {
  readonly #channel: Channel
  readonly #most: number
  readonly #mint: TokenMint
  readonly #questions = new Map<number, Question>()
  readonly #frames = new FrameReader(mostAnswerBytes)
  readonly #since = performance.now()
  #lastId = 0
  #isLeaving = false
  #opened: () => void = () => undefined
  #why = ''
  hasEnded = false

  static async start({ start, providers, unsealing, loadMs, most }: HolderOptions): Promise<Running> {
    const urls = [...new Set([...providers.values()].map(({ url }) => url))]
    const channel = await start({ module: holderModule, urls }).catch((cause: unknown) => {
      throw unavailable(ClawmeshError.from(cause).message, cause)
    })
    const tokenKey = newTokenKey()
    const running = new Running(channel, new TokenMint(tokenKey), most)
    await running.#open(
      {
        tokenKey: tokenKey.toString('base64'),
        unsealing: Buffer.from(unsealing).toString('base64'),
        providers: Object.fromEntries(providers),
      },
      loadMs,
    )
    return running
  }

  private constructor(channel: Channel, mint: TokenMint, most: number) {
    this.#channel = channel
    this.#mint = mint
    this.#most = most
    channel.input.setMaxListeners(0)
    channel.input.on('error', () => undefined)
    channel.output.on('error', () => undefined)
    channel.output.on('data', (piece: Buffer) => this.#receive(piece))
    channel.ended.then(
      (how) => this.end(how),
      (error: unknown) => this.end(ClawmeshError.from(error).message),
    )
  }

  get ageMs(): number {
    return performance.now() - this.#since
  }

  async #open(opening: Opening, loadMs: number): Promise<void> {
    const late = setTimeout(() => this.end(`it was not ready within ${loadMs} ms`), loadMs)
    await new Promise<void>((resolve) => {
      this.#opened = resolve
      this.#say(frameKinds.opening, 0, jsonBody(opening))
      if (this.hasEnded) resolve()
    })
    clearTimeout(late)
    if (this.hasEnded) throw unavailable(this.#why)
    this.#channel.hold?.(false)
  }

  async *ask(destination: Destination, body: Uint8Array, signal: AbortSignal): AsyncGenerator<Delta> {
    const { provider } = destination
    if (this.hasEnded) throw unavailable(this.#why)
    if (this.#questions.size >= this.#most)
      throw failed(provider, `is not asked: ${this.#most} questions are at once already`, true, undefined, unanswered)
    this.#lastId = (this.#lastId % 0xffff_fffe) + 1
    const id = this.#lastId
    const question: Question = {
      ...{ provider, waiting: [], outside: 0, taken: 0, isWhole: false, failure: undefined },
      wake: () => undefined,
    }
    this.#questions.set(id, question)
    if (this.#questions.size === 1) this.#channel.hold?.(true)
    const giveUp = () => question.wake()
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      const token = this.#mint.mint(destination, body)
      this.#say(frameKinds.ask, id, jsonBody(token), newLine, body)
      for (;;) {
        if (signal.aborted) throw givenUp(signal.reason)
        const next = question.waiting.shift()
        if (next) {
          this.#taken(id, question, next.bytes)
          yield next.delta
        } else if (question.failure) throw question.failure
        else if (question.isWhole) return
        else
          await new Promise<void>((resolve) => {
            question.wake = resolve
          })
      }
    } finally {
      signal.removeEventListener('abort', giveUp)
      // Known no more: nobody waits for it, so whatever is still said of it is passed over.
      if (this.#questions.delete(id)) this.#say(frameKinds.cancel, id)
      this.#rest()
    }
  }

  /** Answers what it was asked, and ends. */
  retire(): void {
    this.#isLeaving = true
    this.#rest()
  }

  end(why: string): void {
    if (this.hasEnded) return
    this.hasEnded = true
    this.#why = why
    this.#channel.stop()
    this.#opened()
    for (const question of this.#questions.values()) this.#settle(question, broken(question.provider, new Error(why)))
    this.#questions.clear()
  }

  #rest(): void {
    if (this.#questions.size > 0 || this.hasEnded) return
    if (this.#isLeaving) this.end('it was replaced')
    else this.#channel.hold?.(false)
  }

  #receive(piece: Buffer): void {
    try {
      for (const frame of this.#frames.read(piece)) this.#take(frame)
    } catch (error) {
      this.end(`it said what is not part of the protocol (${error instanceof Error ? error.name : 'unknown'})`)
    }
  }

  #take({ kind, id, body }: Frame): void {
    if (kind === frameKinds.ready) return this.#opened()
    const question = this.#questions.get(id)
    if (!question) return
    if (kind === frameKinds.delta) {
      if (question.outside >= windowBytes) throw new RangeError('it says more than it may')
      question.waiting.push({ delta: deltaSchema.parse(JSON.parse(body.toString())), bytes: body.length })
      question.outside += body.length
      question.wake()
    } else if (kind === frameKinds.end) {
      this.#questions.delete(id)
      question.isWhole = true
      question.wake()
    } else if (kind === frameKinds.failed) {
      this.#questions.delete(id)
      this.#settle(question, errorOf(body))
    } else throw new RangeError('it said what it is told')
  }

  /** What came before it is handed on first. */
  #settle(question: Question, failure: Error): void {
    question.failure ??= failure
    question.wake()
  }

  #taken(id: number, question: Question, bytes: number): void {
    question.taken += bytes
    if (question.taken < windowBytes / 2 || question.isWhole) return
    this.#say(frameKinds.taken, id, Buffer.from(String(question.taken)))
    question.outside -= question.taken
    question.taken = 0
  }

  #say(kind: FrameKind, id: number, ...bodies: Uint8Array[]): void {
    if (this.hasEnded || !this.#channel.input.writable) return
    this.#channel.input.write(encodeFrame(kind, id, ...bodies))
  }
}

const newLine = Buffer.from('\n')

function errorOf(body: Buffer): ClawmeshError {
  const { code, message, hint, cause, unanswered: none } = failureSchema.parse(JSON.parse(body.toString()))
  return new ClawmeshError(code, message, {
    ...(hint === undefined ? {} : { hint }),
    ...(none ? { data: unanswered } : {}),
    ...(cause === undefined ? {} : { cause: new Error(cause) }),
  })
}

const unavailable = (why: string, cause?: unknown): ClawmeshError =>
  new ClawmeshError(
    'MODEL_BUSY',
    `No model elsewhere can be asked: the process that holds the keys is not there, ${why}.`,
    {
      hint: 'Try again; `clawmesh doctor` says what is wrong with the machine.',
      data: unanswered,
      ...(cause === undefined ? {} : { cause }),
    },
  )
