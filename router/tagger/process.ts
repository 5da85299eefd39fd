/**
 * A tagger in a process of its own, started when it is first asked.
 *
 * 1. It answers nothing before it has passed its own test.
 * 2. One that dies, lies or is too slow is ended, and whatever it was asked is refused; the next question starts another.
 * 3. No more than `most` questions wait.
 */
import { type ChildProcess, type ForkOptions, fork } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installation } from '../../mesh/installation.js'
import { onnxruntimeEnvironment } from '../../mesh/onnxruntime.js'
import { ClawmeshError } from '../../policies/errors.js'
import { type FromChild, fromChildSchema } from './protocol.js'
import type { Tag, Tagger } from './tagger.js'

export const shippedTagger = join(installation, 'router', 'tagger', 'model')

export interface TaggerOptions {
  readonly folder: string
  /** Most milliseconds until it has loaded and passed its test. */
  readonly loadMs: number
  /** Most milliseconds for one question; a longer text has a millisecond more for each 10 characters. */
  readonly answerMs: number
  /** Most questions that wait at once. */
  readonly most: number
  /** What starts Node in its place, for a process that is to have less than we have. */
  readonly runner?: Pick<ForkOptions, 'execPath' | 'execArgv'> | undefined
}

interface Question {
  readonly length: number
  readonly count: number
  resolve(tags: readonly (readonly Tag[])[]): void
  reject(cause: Error): void
}

export class TaggerProcess implements Tagger {
  readonly #options: TaggerOptions
  #running: Running | undefined

  constructor(options: Partial<TaggerOptions> = {}) {
    this.#options = { folder: shippedTagger, loadMs: 30_000, answerMs: 10_000, most: 256, ...options }
  }

  async tag(texts: readonly string[]): Promise<readonly (readonly Tag[])[]> {
    if (texts.length === 0) return []
    if (this.#running === undefined || this.#running.hasEnded) this.#running = new Running(this.#options)
    return this.#running.ask(texts)
  }

  /** Of the process, while there is one. */
  get pid(): number | undefined {
    return this.#running?.hasEnded === false ? this.#running.pid : undefined
  }

  close(): void {
    this.#running?.end('it was closed')
    this.#running = undefined
  }
}

/** One process, from its start to its end. */
class Running {
  readonly #options: TaggerOptions
  readonly #child: ChildProcess
  readonly #questions = new Map<number, Question>()
  #lastId = 0
  #isReady = false
  #timer: NodeJS.Timeout | undefined
  hasEnded = false

  constructor(options: TaggerOptions) {
    this.#options = options
    this.#child = fork(fileURLToPath(new URL('./child.js', import.meta.url)), [options.folder], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: [],
      ...options.runner,
      env: onnxruntimeEnvironment,
    })
    this.#child.on('message', (message) => this.#receive(message))
    this.#child.on('error', (cause) => this.end(`it could not be started or reached (${cause.message})`))
    this.#child.on('exit', (status, signal) => this.end(`it ended with ${signal ?? `status ${status}`}`))
    this.#watch(options.loadMs, `it was not ready within ${options.loadMs} ms`)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  ask(texts: readonly string[]): Promise<readonly (readonly Tag[])[]> {
    if (this.#questions.size >= this.#options.most)
      return Promise.reject(unavailable(`${this.#questions.size} questions wait for it already`))
    this.#lastId += 1
    const id = this.#lastId
    this.#hold(true)
    return new Promise((resolve, reject) => {
      const length = texts.reduce((sum, text) => sum + text.length, 0)
      this.#questions.set(id, { length, count: texts.length, resolve, reject })
      if (this.#questions.size === 1 && this.#isReady) this.#watchFirst()
      // One that has just ended is reported by its 'exit' event.
      if (this.#child.connected) this.#child.send({ id, texts }, () => {})
    })
  }

  end(why: string): void {
    if (this.hasEnded) return
    this.hasEnded = true
    clearTimeout(this.#timer)
    this.#child.kill('SIGKILL')
    for (const { reject } of this.#questions.values()) reject(unavailable(why))
    this.#questions.clear()
    this.#hold(false)
  }

  #receive(message: unknown): void {
    const { data } = fromChildSchema.safeParse(message)
    if (!data) this.end('it said what is not part of the protocol')
    else if (data.type === 'ready') {
      this.#isReady = true
      this.#watchFirst()
    } else if (data.type === 'broken') this.end(data.why)
    else this.#settle(data)
  }

  #settle(answer: FromChild & { type: 'tags' | 'failed' }): void {
    const question = this.#questions.get(answer.id)
    this.#questions.delete(answer.id)
    if (answer.type === 'failed') question?.reject(unavailable(answer.why))
    else if (answer.tags.length !== question?.count) return this.end('it answered what it was not asked')
    else question.resolve(answer.tags)
    this.#watchFirst()
  }

  /** Questions are answered in order: the first has its time from now on. */
  #watchFirst(): void {
    clearTimeout(this.#timer)
    const [first] = this.#questions.values()
    if (!first) return this.#hold(false)
    const ms = this.#options.answerMs + first.length / 10
    this.#watch(ms, `it did not answer within ${Math.round(ms)} ms`)
  }

  #watch(ms: number, why: string): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.end(why), ms)
    if (this.#questions.size === 0) this.#timer.unref()
  }

  /** Only while something is asked is the program kept from ending. */
  #hold(isAsked: boolean): void {
    if (isAsked) {
      this.#child.ref()
      this.#child.channel?.ref()
    } else {
      this.#child.unref()
      this.#child.channel?.unref()
    }
  }
}

function unavailable(why: string): ClawmeshError {
  return new ClawmeshError('TAGGER_UNAVAILABLE', `Names could not be looked for, so nothing leaves: ${why}.`, {
    hint: 'See "Names" in docs/router.md; `tagger.kinds: []` in the router rules does without, and then names leave unseen.',
  })
}
