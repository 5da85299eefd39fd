import { totalmem } from 'node:os'
import { ClawmeshError } from '../../policies/errors.js'
import type { Cache } from './cache.js'
import type { DecoderShape } from './config.js'
import type { Feed, Graph } from './graph.js'
import { blockTokens, PrefixStore } from './prefix.js'
import type { Stats } from './protocol.js'
import { type Run, runsOf } from './step.js'

/** An answer in the making, as the scheduler sees it. */
export interface Work {
  /** Prompt and what was written so far. Grows by `begin` and `take`. */
  readonly tokens: readonly number[]
  /** The most that `tokens` can come to. */
  readonly mostTokens: number
  /** Is told how many of the tokens were taken from earlier answers. */
  cachedTokens: number
  /** Before the first token is computed. True: there is nothing to do. */
  begin(): boolean
  /** The logits behind the last of `tokens`. True: the answer is finished. Throws what the answer fails with. */
  take(logits: Float32Array): boolean
}

interface Entry {
  id: number
  work: Work
  fail: (thrown: unknown) => void
  slot: number
  cancelled: boolean
  /** Whether what its prompt gave was kept for others. */
  kept: boolean
}

export interface SchedulerOptions {
  /** Answers under way side by side, and waiting behind them. */
  slots: number
  queue: number
  /** Most bytes of keys and values of answers under way, and of earlier ones that are kept; by default an eighth and a sixteenth of the memory. */
  cacheBytes?: number
  prefixBytes?: number
  /** Called when a step is over: what the answers have said can go out. */
  afterStep?: () => void
}

/**
 * Computes many answers on one graph, together where the graph can: they join and leave between steps.
 *
 * 1. At most `slots` are under way and `queue` wait, in the order in which they came; one more is refused at once, never dropped.
 * 2. What was cancelled is in no further run, and its place is free at once.
 * 3. What an answer says does not depend on which others are computed beside it.
 * 4. A run that fails with several answers is done again with each alone: only those fail that fail alone.
 */
export class Scheduler {
  private readonly graph: Graph
  private readonly cache: Cache
  private readonly prefixes: PrefixStore
  private readonly options: SchedulerOptions
  private readonly cacheBytes: number
  private readonly counted = { steps: 0, runs: 0, fed: 0, reused: 0, busyMs: 0 }
  private waiting: Entry[] = []
  /** In the order of admission; `slot` says which rows of the cache are whose. */
  private active: Entry[] = []
  private running = false
  private readonly idlers: (() => void)[] = []

  constructor(graph: Graph, shape: DecoderShape, options: SchedulerOptions) {
    this.graph = graph
    this.cache = graph.cache(shape)
    this.options = options
    this.cacheBytes = options.cacheBytes ?? memory(1 / 8)
    // A state at the end of a block is not kept, so there is nothing to go on from there.
    this.prefixes = new PrefixStore(graph.layout.states.length > 0 ? 0 : (options.prefixBytes ?? memory(1 / 16)))
  }

  /** Throws MODEL_BUSY. `fail` gets what the answer fails with. */
  submit(id: number, work: Work, fail: (thrown: unknown) => void): void {
    this.refuseWhenFull()
    this.waiting.push({ id, work, fail, slot: -1, cancelled: false, kept: false })
    if (!this.running) void this.loop()
  }

  /** Throws MODEL_BUSY if there is no room for one more (invariant 1). */
  refuseWhenFull(): void {
    const { slots, queue } = this.options
    if (this.alive.length + this.waiting.length < slots + queue) return
    throw new ClawmeshError('MODEL_BUSY', `The model has ${slots} answers under way and ${queue} waiting.`, {
      hint: 'Ask again in a moment.',
    })
  }

  cancel(id: number): void {
    this.waiting = this.waiting.filter((entry) => entry.id !== id)
    // Slots change their numbers when one is closed, so that is left to the time between two runs.
    for (const entry of this.active) if (entry.id === id) entry.cancelled = true
  }

  stats(): Stats {
    return {
      ...this.counted,
      computeMs: this.graph.computeMs,
      running: this.alive.length,
      waiting: this.waiting.length,
    }
  }

  get idle(): boolean {
    return !this.running
  }

  /** Resolves when nothing is under way. */
  async whenIdle(): Promise<void> {
    if (this.running) await new Promise<void>((resolve) => this.idlers.push(resolve))
  }

  private get alive(): Entry[] {
    return this.active.filter(({ cancelled }) => !cancelled)
  }

  private async loop(): Promise<void> {
    this.running = true
    const begun = performance.now()
    while (this.active.length + this.waiting.length > 0) {
      // What has arrived meanwhile is heard first: new requests, and that answers are no longer wanted.
      await new Promise(setImmediate)
      this.drop()
      this.admit()
      const wanted = this.active.map((of) => ({ of, pending: of.work.tokens.length - this.cache.length(of.slot) }))
      for (const run of runsOf(wanted, this.graph, this.counted.steps)) await this.compute(run)
      this.counted.steps++
      this.options.afterStep?.()
    }
    this.counted.busyMs += performance.now() - begun
    this.running = false
    for (const resolve of this.idlers.splice(0)) resolve()
  }

  private drop(): void {
    for (const entry of this.active.filter(({ cancelled }) => cancelled)) this.leave(entry)
  }

  private admit(): void {
    for (let next = this.waiting[0]; next && this.hasRoomFor(next); next = this.waiting[0]) {
      this.waiting.shift()
      const begins = this.guarded(next, () => !next.work.begin())
      if (!begins) continue
      next.slot = this.cache.open()
      this.active.push(next)
      for (const block of this.prefixes.find(next.work.tokens)) {
        this.cache.copyIn(next.slot, block)
        this.counted.reused += blockTokens
        next.work.cachedTokens += blockTokens
      }
    }
  }

  /** All slots are as long as the longest: that, times how many they are, must not pass the bytes for them. One alone always may. */
  private hasRoomFor({ work }: Entry): boolean {
    if (this.active.length >= this.options.slots) return false
    const longest = Math.max(work.mostTokens, ...this.active.map((entry) => entry.work.mostTokens))
    return this.active.length === 0 || this.cache.bytesOf(this.active.length + 1, longest) <= this.cacheBytes
  }

  private async compute(run: Run<Entry>): Promise<void> {
    const feeds = run.flatMap(({ of: entry, count }) => {
      const { slot, work, cancelled } = entry
      const from = this.cache.length(slot)
      return cancelled ? [] : [{ entry, slot, tokens: work.tokens.slice(from, from + count) }]
    })
    if (feeds.length === 0) return
    try {
      this.advance(feeds, await this.graph.run(this.cache, feeds))
    } catch (thrown) {
      const [only] = feeds
      if (only && feeds.length === 1) this.fail(only.entry, thrown)
      else for (const each of run) await this.compute([each])
    }
  }

  private advance(feeds: readonly (Feed & { entry: Entry })[], logits: readonly Float32Array[]): void {
    this.counted.runs++
    const ended = feeds.filter(({ entry, slot, tokens }, i) => {
      this.counted.fed += tokens.length
      const row = logits[i]
      const { work, cancelled } = entry
      if (!row || cancelled || this.cache.length(slot) < work.tokens.length) return false
      const ends = this.guarded(entry, () => work.take(row))
      if (ends || !(entry.kept || entry.cancelled)) this.remember(entry)
      return ends
    })
    // Not before all have had their row: slots change their numbers.
    for (const { entry } of ended) this.leave(entry)
  }

  /** False if it threw; then the answer has failed. */
  private guarded(entry: Entry, act: () => boolean): boolean {
    try {
      return act()
    } catch (thrown) {
      this.fail(entry, thrown)
      return false
    }
  }

  private fail(entry: Entry, thrown: unknown): void {
    entry.fail(thrown)
    entry.cancelled = true
  }

  /** Keeps what was computed for those who go on from there. */
  private remember(entry: Entry): void {
    const { slot, work } = entry
    entry.kept = true
    const known = work.tokens.slice(0, this.cache.length(slot))
    this.prefixes.keep(known, (from) => this.cache.copyOut(slot, from, blockTokens))
  }

  private leave(entry: Entry): void {
    const last = this.active.find(({ slot }) => slot === this.cache.size - 1)
    this.cache.close(entry.slot)
    if (last) last.slot = entry.slot
    this.active = this.active.filter((each) => each !== entry)
  }
}

/** A share of the memory that this process may use. */
function memory(share: number): number {
  return Math.min(totalmem(), process.constrainedMemory() || totalmem()) * share
}
