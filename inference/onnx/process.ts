import { type ChildProcess, type ForkOptions, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onnxruntimeEnvironment } from '../../mesh/onnxruntime.js'
import { ClawmeshError } from '../../policies/errors.js'
import { cancelled, type GenerateRequest } from '../backend.js'
import type { Speed } from '../place.js'
import { Inbox } from './inbox.js'
import { saysSo } from './memory.js'
import { type FromChild, fromChildSchema, fromWire, type LoadOrder, type Stats, type ToChild } from './protocol.js'

export interface ProcessOptions extends LoadOrder {
  /** The whole environment of the process, but for what onnxruntime is told. Empty unless an accelerator's libraries need a path. */
  env: Record<string, string>
  /** Most milliseconds to wait for the model to be loaded. */
  loadMs: number
  /** What starts Node in its place, for a process that is to have less than we have. */
  runner?: Pick<ForkOptions, 'execPath' | 'execArgv'> | undefined
}

interface Loading {
  resolve(loaded: FromChild & { type: 'loaded' }): void
  reject(thrown: Error): void
}

export type Started = { process: ModelProcess } & Pick<FromChild & { type: 'loaded' }, 'model' | 'times'>

/** A process with one loaded model, seen from the node. Once it has ended it stays ended. */
export class ModelProcess {
  private readonly child: ChildProcess
  private readonly inboxes = new Map<number, Inbox>()
  private readonly exited: Promise<unknown>
  private loading: Loading | undefined
  private lastId = 0
  private complaints = ''
  private told: ((speed: Speed | undefined) => void) | undefined
  private readonly asking: ((stats: Stats | undefined) => void)[] = []
  alive = true
  /** Measured once nothing else is to do; undefined if the process ended before. */
  readonly measured = new Promise<Speed | undefined>((resolve) => {
    this.told = resolve
  })

  private constructor({ env, runner }: Pick<ProcessOptions, 'env' | 'runner'>) {
    this.child = fork(fileURLToPath(new URL('./child.js', import.meta.url)), [], {
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: [],
      ...runner,
      env: { ...env, ...onnxruntimeEnvironment },
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
  static async start({ env, loadMs, runner, ...order }: ProcessOptions): Promise<Started> {
    const process = new ModelProcess({ env, runner })
    const timer = setTimeout(() => process.ended(`it did not load ${order.folder} within ${loadMs} ms`), loadMs)
    try {
      const { model, times } = await new Promise<FromChild & { type: 'loaded' }>((resolve, reject) => {
        process.loading = { resolve, reject }
        process.send({ type: 'load', ...order })
      })
      return { process, model, times }
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

  /** What it has done so far; undefined if it is gone. */
  async stats(): Promise<Stats | undefined> {
    if (!this.alive) return undefined
    return new Promise((resolve) => {
      this.asking.push(resolve)
      this.send({ type: 'stats' })
    })
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
    else if (data.type === 'broken') {
      this.loading?.reject(fromWire(data.error))
      this.told?.(undefined)
    } else if (data.type === 'measured') this.told?.(data.speed)
    else if (data.type === 'stats') this.asking.shift()?.(data.stats)
    else
      for (const news of data.news)
        if ('event' in news) this.inboxes.get(news.id)?.push(news.event)
        else this.inboxes.get(news.id)?.fail(fromWire(news.error))
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
    this.told?.(undefined)
    for (const resolve of this.asking.splice(0)) resolve(undefined)
    for (const inbox of this.inboxes.values()) inbox.fail(failure)
  }
}

function gone(why: string, complaints = ''): ClawmeshError {
  // What Node says when its own memory is full is the last that it says.
  if (saysSo(complaints))
    return new ClawmeshError('MEMORY_FULL', `The process of the model ran out of memory: ${why}.`, {
      hint: 'Free some memory on its machine, or use a smaller model, or one of fewer bits.',
      cause: new Error(complaints),
    })
  return new ClawmeshError('MODEL_FAILED', `The process of the model is gone: ${why}.`, {
    hint: 'Ask again: the next request starts a new one.',
    data: { lost: true },
    cause: complaints === '' ? undefined : new Error(complaints),
  })
}
