import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ClawmeshError } from '../../policies/errors.js'
import { cancelled, type GenerateRequest, type ModelInfo } from '../backend.js'
import type { Speed } from '../place.js'
import { Inbox } from './inbox.js'
import { type FromChild, fromChildSchema, fromWire, type LoadTimes, type ToChild } from './protocol.js'

export interface ProcessOptions {
  folder: string
  /** Answers under way side by side, and waiting behind them. */
  slots: number
  queue: number
  threads: number
  /** The whole environment of the process. Empty unless an accelerator's libraries need a path. */
  env: Record<string, string>
  /** Most milliseconds to wait for the model to be loaded. */
  loadMs: number
}

interface Loading {
  resolve(loaded: FromChild & { type: 'loaded' }): void
  reject(thrown: Error): void
}

/** A process with one loaded model, seen from the node. Once it has ended it stays ended. */
export class ModelProcess {
  private readonly child: ChildProcess
  private readonly inboxes = new Map<number, Inbox>()
  private readonly exited: Promise<unknown>
  private loading: Loading | undefined
  private lastId = 0
  private complaints = ''
  alive = true

  private constructor(env: Record<string, string>) {
    this.child = fork(fileURLToPath(new URL('./child.js', import.meta.url)), [], {
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: [],
      env,
    })
    this.child.stdout?.resume()
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.complaints = (this.complaints + text).slice(-2000)
    })
    this.child.on('message', (message) => this.receive(message))
    this.child.on('error', (cause) => this.ended(`it could not be started or reached (${cause.message})`))
    this.child.on('exit', (status, signal) => this.ended(`it ended with ${signal ?? `status ${status}`}`))
    this.exited = once(this.child, 'exit').catch(() => {})
  }

  /** Starts a process and loads the model. Throws MODEL_BROKEN, MODEL_FAILED. */
  static async start(
    options: ProcessOptions,
  ): Promise<{ process: ModelProcess; model: ModelInfo; times: LoadTimes; speed: Speed }> {
    const { folder, slots, queue, threads, env, loadMs } = options
    const process = new ModelProcess(env)
    const timer = setTimeout(() => process.ended(`it did not load ${folder} within ${loadMs} ms`), loadMs)
    try {
      const { model, times, speed } = await new Promise<FromChild & { type: 'loaded' }>((resolve, reject) => {
        process.loading = { resolve, reject }
        process.send({ type: 'load', folder, slots, queue, threads })
      })
      return { process, model, times, speed }
    } catch (thrown) {
      await process.stop()
      throw thrown
    } finally {
      clearTimeout(timer)
    }
  }

  /** Hands a request over. Its events come through the inbox until `release`. */
  ask(request: GenerateRequest): { id: number; inbox: Inbox } {
    const id = ++this.lastId
    const inbox = new Inbox()
    this.inboxes.set(id, inbox)
    if (!this.alive) inbox.fail(gone('it ended before it was asked'))
    this.send({ type: 'generate', id, request })
    return { id, inbox }
  }

  /** Ends the interest in an answer; if it is still being computed, that stops after the step under way. */
  release(id: number, finished: boolean): void {
    this.inboxes.delete(id)
    if (!finished) this.send({ type: 'cancel', id })
  }

  /** Ends the process, within two seconds even if a step is under way. */
  async stop(): Promise<void> {
    this.alive = false
    this.failAll(cancelled())
    if (this.child.pid === undefined || this.child.exitCode !== null || this.child.signalCode !== null) return
    if (this.child.connected) this.child.disconnect()
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 2000)
    await this.exited
    clearTimeout(timer)
  }

  get pid(): number | undefined {
    return this.child.pid
  }

  private send(message: ToChild): void {
    // A process that has just ended is reported by its 'exit' event.
    if (this.alive && this.child.connected) this.child.send(message, () => {})
  }

  private receive(message: unknown): void {
    const parsed = fromChildSchema.safeParse(message)
    const { data } = parsed
    if (!data) this.ended('it sent what is not part of the protocol')
    else if (data.type === 'loaded') this.loading?.resolve(data)
    else if (data.type === 'broken') this.loading?.reject(fromWire(data.error))
    else if (data.type === 'event') this.inboxes.get(data.id)?.push(data.event)
    else this.inboxes.get(data.id)?.fail(fromWire(data.error))
  }

  private ended(why: string): void {
    if (!this.alive) return
    this.alive = false
    const failure = gone(why, this.complaints.trim())
    this.loading?.reject(failure)
    this.failAll(failure)
    this.child.kill('SIGKILL')
  }

  private failAll(failure: Error): void {
    for (const inbox of this.inboxes.values()) inbox.fail(failure)
  }
}

function gone(why: string, complaints = ''): ClawmeshError {
  return new ClawmeshError('MODEL_FAILED', `The process of the model is gone: ${why}.`, {
    hint: 'Ask again: the next request starts a new one.',
    cause: complaints === '' ? undefined : new Error(complaints),
  })
}
