import { ClawmeshError } from '../../policies/errors.js'
import {
  type Backend,
  cancelled,
  checkRequest,
  type GenerateEvent,
  type GenerateRequest,
  type ModelInfo,
} from '../backend.js'
import { lastUserText } from '../constrain/span.js'
import type { Speed } from '../place.js'
import { checkCall } from '../tool.js'
import { ModelProcess, type ProcessOptions, type Started } from './process.js'
import type { LoadTimes, Stats } from './protocol.js'

export type OnnxOptions = Pick<ProcessOptions, 'folder'> & Partial<ProcessOptions>

/** How long a load took, in milliseconds: its stages in the process, and the whole as seen from outside. */
export interface LoadReport extends LoadTimes {
  total: number
}

/**
 * A model folder on onnxruntime, in a process of its own.
 *
 * 1. A process that dies fails the answers that it was making; the next request starts another.
 * 2. The process started later runs the very files of the first, or nothing.
 */
export class OnnxBackend implements Backend {
  readonly model: ModelInfo
  readonly load: LoadReport
  readonly slots: number
  readonly measured: Promise<Speed | undefined>
  speed?: Speed
  private readonly options: ProcessOptions
  private process: Promise<ModelProcess>
  private disposed = false

  private constructor(options: ProcessOptions, started: Started, total: number) {
    this.options = options
    this.slots = options.slots
    this.process = Promise.resolve(started.process)
    this.model = started.model
    this.load = { ...started.times, total }
    this.measured = this.note(started.process)
  }

  /** Checks and loads a model folder. Throws MODEL_BROKEN, MODEL_FAILED. */
  static async open(given: OnnxOptions): Promise<OnnxBackend> {
    const options = { slots: 8, queue: 64, threads: 1, env: {}, loadMs: 120_000, ...given }
    const begun = performance.now()
    const started = await ModelProcess.start(options)
    return new OnnxBackend(options, started, performance.now() - begun)
  }

  async *generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GenerateEvent> {
    const { messages, tools = [], ...rest } = checkRequest(this.model, request)
    const process = await this.running()
    if (signal?.aborted) throw cancelled()
    const { id, inbox } = process.ask(tools.length > 0 ? { ...rest, messages, tools } : { ...rest, messages })
    const abort = (): void => inbox.fail(cancelled())
    signal?.addEventListener('abort', abort)
    let finished = false
    try {
      while (!finished) {
        const event = await inbox.next()
        if (event.type === 'call') checkCall(event.call, tools, lastUserText(messages))
        finished = event.type === 'done'
        yield event
      }
    } finally {
      signal?.removeEventListener('abort', abort)
      process.release(id, finished)
    }
  }

  async dispose(): Promise<void> {
    this.disposed = true
    await this.process.then((process) => process.stop()).catch(() => {})
  }

  /** The id of the process with the model, while there is one. */
  async pid(): Promise<number | undefined> {
    const process = await this.process
    return process.alive ? process.pid : undefined
  }

  /** What the process of the model has done since it was started; undefined while there is none. */
  async stats(): Promise<Stats | undefined> {
    return (await this.process).stats()
  }

  private async note(process: ModelProcess): Promise<Speed | undefined> {
    const speed = await process.measured
    if (speed) this.speed = speed
    return speed
  }

  /** The process, started anew if it has died (invariant 1). */
  private async running(): Promise<ModelProcess> {
    if (this.disposed)
      throw new ClawmeshError('MODEL_FAILED', `${this.model.name} was disposed of.`, { hint: 'Open the model again.' })
    const before = this.process
    const process = await before.catch(() => undefined)
    if (process?.alive) return process
    // Of several requests that find it dead, the first starts the next one.
    if (this.process === before) this.process = this.restart()
    return this.process
  }

  private async restart(): Promise<ModelProcess> {
    const { process, model } = await ModelProcess.start(this.options)
    if (model.digest === this.model.digest && !this.disposed) {
      void this.note(process)
      return process
    }
    await process.stop()
    if (this.disposed) throw cancelled()
    throw new ClawmeshError('MODEL_BROKEN', `The files in ${this.options.folder} changed since the model was opened.`, {
      hint: 'Open the model again if the change was meant; else restore the folder.',
      data: { expected: this.model.digest ?? '', found: model.digest ?? '' },
    })
  }
}
