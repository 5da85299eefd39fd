import { ClawmeshError } from '../policies/errors.js'
import {
  type Backend,
  cancelled,
  type EmbedEvent,
  type GenerateEvent,
  type GenerateRequest,
  type ModelInfo,
} from './backend.js'
import { type Load, MeteredBackend } from './metered.js'
import type { ModelOffer } from './place.js'
import { memoryFull, neededBy, type Shelved, type StoredModel, sizes } from './shelved.js'

export interface ShelfOptions {
  /** Bytes that are free on this machine now. */
  freeBytes(): Promise<number>
  /** Most bytes that the models which come and go may take together. */
  mostBytes?: number
  /** A model that was asked nothing for so long is unloaded. */
  idleMs?: number
  /** The first word of an answer is there. */
  onFirst?: (model: string) => void
}

/** Bytes a millisecond: what a load is guessed to take before there was one. */
const guessedLoad = 200_000
const usuallyIdleMs = 600_000

/**
 * The models of one node: those that stay, and those that are loaded when they are asked for and leave when they are not.
 *
 * 1. One load at a time, and each only when weights, keys and values of all slots and the margin fit into what is free. Idle models make room, the one longest
 *    unused first; one that is in use never does.
 * 2. Whoever asks waits for the load, within its own deadline; whoever gives up does not end the load for the others.
 * 3. What drains begins nothing; what is under way goes on to its end.
 */
export class Shelf {
  private readonly options: ShelfOptions
  private readonly models: Shelved[] = []
  private readonly timers = new Set<NodeJS.Timeout>()
  private free = 0
  private order: Promise<unknown> = Promise.resolve()
  private nodeDrains = false
  private gpusDraining: readonly string[] = []
  private closed = false

  constructor(options: ShelfOptions) {
    this.options = options
  }

  /** Puts a model there that is loaded and stays. `devices`: the GPUs that it may be computing on. */
  keep(backend: Backend, devices: readonly string[] = []): void {
    const metered = new MeteredBackend(backend)
    this.models.push({ info: backend.model, devices, backend: metered, users: 0, usedAt: 0, loadMs: 0 })
  }

  /** Puts a model there that is loaded when it is asked for. One of a name that is there already is left out: false. */
  store(stored: StoredModel): boolean {
    if (this.models.some(({ info }) => info.name === stored.info.name)) return false
    const loadMs = 1000 + stored.weights / guessedLoad
    this.models.push({ info: stored.info, devices: [], stored, users: 0, usedAt: 0, loadMs })
    return true
  }

  /** Names of the models, those that stay first. */
  get names(): string[] {
    return this.models.map(({ info }) => info.name)
  }

  /** Of this machine, when it was last looked at. */
  get freeBytes(): number {
    return this.free
  }

  offers(): ModelOffer[] {
    return this.models.map((model) => this.offer(model))
  }

  /** Resolves when the speeds of those that are loaded were measured. */
  async measured(): Promise<void> {
    await Promise.all(this.models.map(({ backend }) => backend?.measured))
  }

  /** Asks the servers behind models whether they are there. */
  async check(): Promise<void> {
    await Promise.all(
      this.models.map(async (model) => {
        if (model.backend) model.away = await model.backend.away()
      }),
    )
  }

  /** Has models of servers that may be tried tell how fast they are; none on what drains. Resolves when they have, or will not. */
  async tryOut(): Promise<void> {
    await Promise.all(
      this.models.map((model) => (this.draining(model) === undefined ? model.backend?.tryOut() : undefined)),
    )
  }

  /** Looks again how much memory is free. */
  async look(): Promise<void> {
    this.free = await this.options.freeBytes()
  }

  /** The first one if none is named. Throws MODEL_UNSUITED. */
  describe(name?: string): ModelInfo {
    return this.find(name).info
  }

  /** Throws what a backend throws, MODEL_UNSUITED for a name that is not there, UNREACHABLE while it drains, MEMORY_FULL where it does not fit. */
  async *generate(
    name: string | undefined,
    request: GenerateRequest,
    signal?: AbortSignal,
  ): AsyncIterable<GenerateEvent> {
    const model = this.find(name)
    const why = this.draining(model)
    if (why !== undefined) throw takesNone(model.info.name, why)
    model.users++
    try {
      const backend = model.backend ?? (await orAborted(this.loaded(model), signal))
      let isFirst = true
      for await (const event of backend.generate(request, signal)) {
        if (isFirst) this.options.onFirst?.(model.info.name)
        isFirst = false
        yield event
      }
    } finally {
      model.users--
      model.usedAt = performance.now()
      this.leaveWhenIdle(model)
    }
  }

  /** Whether the first model makes embeddings. */
  get embeds(): boolean {
    return this.models[0]?.backend?.embed !== undefined
  }

  /** Of the first model. Throws NOT_FOUND where it makes none, UNREACHABLE while it drains. */
  embed(texts: readonly string[], signal?: AbortSignal): AsyncIterable<EmbedEvent> {
    const model = this.find(undefined)
    const why = this.draining(model)
    if (why !== undefined) throw takesNone(model.info.name, why)
    if (model.backend?.embed) return model.backend.embed(texts, signal)
    throw new ClawmeshError('NOT_FOUND', `${model.info.name} makes no embeddings.`, {
      hint: 'Name a model server that does: `--model URL`.',
    })
  }

  /** The whole node, or some of its GPUs, take no new requests; nothing of what is under way is ended. */
  drain(node: boolean, gpus: readonly string[]): void {
    this.nodeDrains = node
    this.gpusDraining = gpus
  }

  async dispose(): Promise<void> {
    this.closed = true
    for (const timer of this.timers) clearTimeout(timer)
    await Promise.all(
      this.models.map(async (model) => {
        const loading = await model.loading?.catch(() => undefined)
        await (model.backend ?? loading)?.dispose()
      }),
    )
  }

  private find(name: string | undefined): Shelved {
    const found = name === undefined ? this.models[0] : this.models.find(({ info }) => info.name === name)
    if (found) return found
    throw new ClawmeshError('MODEL_UNSUITED', `This node does not serve ${name ?? 'a model'}.`, {
      hint: `It serves: ${this.names.join(', ') || 'none'}.`,
    })
  }

  private draining({ devices, broken }: Shelved): string | undefined {
    if (this.nodeDrains) return 'its node is draining'
    if (broken !== undefined) return broken
    const gpu = devices.find((id) => this.gpusDraining.includes(id))
    return gpu && `the GPU ${gpu} that it may compute on is draining`
  }

  private offer(model: Shelved): ModelOffer {
    const { info, stored, backend, users, loadMs } = model
    const waiting: Load = { running: 0, queued: users, queuedTokens: 0 }
    const draining = this.draining(model)
    return {
      model: info.name,
      ...(info.digest === null ? {} : { digest: info.digest }),
      backend: info.backend,
      modalities: info.modalities ?? ['text'],
      ...(info.tools ? { tools: info.tools } : {}),
      ...(info.boundsThought ? { boundsThought: true } : {}),
      context: info.context,
      slots: backend?.slots ?? stored?.slots ?? 1,
      ...(backend?.load ?? waiting),
      ...(backend ?? model).pace,
      ...(model.away === undefined ? {} : { away: model.away }),
      ...(draining === undefined ? {} : { draining }),
      ...(stored && !backend
        ? { unloaded: { ...sizes(stored), free: Math.max(0, this.freeFor(model)), loadMs: Math.round(loadMs) } }
        : {}),
    }
  }

  private loaded(model: Shelved): Promise<MeteredBackend> {
    if (model.backend) return Promise.resolve(model.backend)
    if (!model.loading) {
      const loading = this.inOrder(() => this.load(model))
      model.loading = loading
      const over = (): void => {
        delete model.loading
        this.leaveWhenIdle(model)
      }
      loading.then(over, over)
    }
    return model.loading
  }

  /** One after the other (invariant 1). */
  private inOrder<T>(act: () => Promise<T>): Promise<T> {
    const result = this.order.then(act)
    this.order = result.catch(() => {})
    return result
  }

  private async load(model: Shelved): Promise<MeteredBackend> {
    const { stored, info } = model
    if (!stored || this.closed) throw cancelled()
    await this.makeRoom(model)
    const begun = performance.now()
    const backend = await stored.open().catch((thrown: unknown) => {
      const error = ClawmeshError.from(thrown)
      // Files that are broken stay so; of a machine without memory nobody knows for how long.
      if (error.code === 'MODEL_BROKEN') model.broken = `it could not be loaded: ${error.message}`
      throw error
    })
    if (this.closed || backend.model.digest !== info.digest) {
      await backend.dispose()
      if (this.closed) throw cancelled()
      model.broken = 'its files changed since it was offered'
      throw new ClawmeshError('MODEL_BROKEN', `The files of ${info.name} changed since it was offered.`, {
        hint: 'Start the node again if the change was meant; else restore the files: `clawmesh models verify` names them.',
      })
    }
    model.loadMs = performance.now() - begun
    model.backend = new MeteredBackend(backend, model.pace)
    await this.look()
    return model.backend
  }

  private async makeRoom(model: Shelved): Promise<void> {
    for (;;) {
      this.free = await this.options.freeBytes()
      const needed = neededBy(model)
      const idle = this.idle(model)
      const within = Math.min(this.free, this.allowance())
      if (needed <= within) return
      const [oldest] = idle
      if (!oldest || needed > this.freeFor(model)) throw memoryFull(model.info.name, needed, Math.max(0, within))
      await this.unload(oldest)
    }
  }

  /** What would be free for it if all that is idle made room. */
  private freeFor(model: Shelved): number {
    const idle = this.idle(model).reduce((sum, each) => sum + neededBy(each), 0)
    return Math.min(this.free, this.allowance()) + idle
  }

  /** What the person lets models take, less what those that are loaded do. */
  private allowance(): number {
    const { mostBytes = Number.POSITIVE_INFINITY } = this.options
    const taken = this.models.reduce((sum, each) => sum + (each.backend ? neededBy(each) : 0), 0)
    return mostBytes - taken
  }

  /** Those that could make room, the one longest unused first. */
  private idle(beside: Shelved): Shelved[] {
    return this.models
      .filter((each) => each !== beside && each.stored && each.backend && each.users === 0)
      .sort((a, b) => a.usedAt - b.usedAt)
  }

  private async unload(model: Shelved): Promise<void> {
    const { backend } = model
    if (backend) model.pace = backend.pace
    delete model.backend
    await backend?.dispose()
  }

  private leaveWhenIdle(model: Shelved): void {
    if (!model.stored || !model.backend || model.users > 0) return
    const { idleMs = usuallyIdleMs } = this.options
    const { usedAt } = model
    const timer = setTimeout(() => {
      this.timers.delete(timer)
      if (model.users > 0 || model.usedAt !== usedAt || !model.backend) return
      void this.inOrder(async () => {
        if (model.users > 0 || model.usedAt !== usedAt) return
        await this.unload(model)
        await this.look()
      })
    }, idleMs)
    timer.unref()
    this.timers.add(timer)
  }
}

/** The load goes on for others (invariant 2). */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work
  if (signal.aborted) throw cancelled()
  let abort = (): void => {}
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(cancelled())
    signal.addEventListener('abort', abort)
  })
  work.catch(() => {})
  return Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', abort))
}

function takesNone(model: string, why: string): ClawmeshError {
  return new ClawmeshError('UNREACHABLE', `${model} takes no new requests here: ${why}.`, {
    hint: 'Another node takes them. If none does: `clawmesh nodes undrain` ends a drain.',
  })
}
