/** What a supervisor does: who runs where, who is started afresh when one goes down, and when it is too much. */
import { randomInt } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { ClawmeshError } from '../../policies/errors.js'
import type { NodeInfo } from '../membership.js'
import type { MeshNode } from '../node.js'
import { nodeActorName, StartActor, StopActor } from './system.js'

export interface Child {
  /** The child's name in the mesh. */
  name: string
  /** The name of a definition that some nodes host. */
  definition: string
  args?: unknown
  /** The node it should start on if it can; any other one will do after that. */
  prefers?: string
  /** It starts on no node whose certificate does not say all of these. */
  labels?: readonly string[]
}

/**
 * Who is started afresh when one child goes down, as in OTP: it alone; all children, where none can go on without the others; or it and those that
 * stand behind it in the list, where each builds on those before. Children that stand or fall together are started one after the other, in their order.
 */
export type Strategy = 'one-for-one' | 'one-for-all' | 'rest-for-one'

export interface SuperviseOptions {
  name: string
  children: Child[]
  /** One-for-one unless told. */
  strategy?: Strategy
  /** More restarts than this within the time, of one child or of children that fall together, and they are given up. */
  intensity?: { restarts: number; withinMs: number }
  onRestart?: (child: string, node: string, reason: string) => void
  onGiveUp?: (child: string, error: ClawmeshError) => void
}

export interface Supervisor {
  /** The node that a child runs on now. */
  placeOf(child: string): string | undefined
  stop(): Promise<void>
}

const startWithinMs = 10_000
const stopWithinMs = 2000
const lookAgainMs = 100
/** Before the second restart within the intensity's time; it doubles with each that follows. */
const firstPauseMs = 100
const longestPauseMs = 5000

/** One life of a child, from the order to start it until it is down. */
interface Run {
  id: number
  place: string
  /** The order was answered. */
  up: boolean
  /** Why it is down, when the report of that was faster than the answer to the order. */
  down?: string
}

interface Fall {
  child: Child
  place: string
  reason: string
}

export class Supervision implements Supervisor {
  readonly #node: MeshNode
  readonly #options: SuperviseOptions
  readonly #strategy: Strategy
  /** To the supervisor above, if there is one. */
  readonly #escalate: ((error: ClawmeshError) => void) | undefined
  readonly #unsubscribe: () => void
  /** The present run of each child. One that is being started counts as load on its node already. */
  readonly #runs = new Map<string, Run>()
  /** When there was a restart, by the child or, for children that fall together, in one. */
  readonly #restarts = new Map<string, number[]>()
  /** Children that fall together are raised by one hand. */
  #raising: Promise<void> = Promise.resolve()
  /** By chance at first: a report of what an earlier life of this supervisor started must not be taken for one of what runs now. */
  #lastRun = randomInt(2 ** 47)
  #stopped = false

  constructor(node: MeshNode, options: SuperviseOptions, escalate?: (error: ClawmeshError) => void) {
    this.#node = node
    this.#options = options
    this.#strategy = options.strategy ?? 'one-for-one'
    this.#escalate = escalate
    this.#unsubscribe = node.directory.onLost((lost) => this.#nodeLost(lost))
  }

  placeOf(child: string): string | undefined {
    const run = this.#runs.get(child)
    return run?.up ? run.place : undefined
  }

  async startAll(): Promise<void> {
    const { children } = this.#options
    if (this.#strategy === 'one-for-one') await Promise.all(children.map((child) => this.#start(child)))
    else for (const child of children) await this.#start(child)
  }

  down(name: string, id: number, reason: string): void {
    const child = this.#options.children.find((candidate) => candidate.name === name)
    const run = this.#runs.get(name)
    if (!child || this.#stopped || run?.id !== id) return
    if (!run.up) {
      run.down = reason
      return
    }
    this.#runs.delete(name)
    const fall = { child, place: run.place, reason }
    if (this.#strategy === 'one-for-one') void this.#raise(fall, [child])
    else this.#raising = this.#raising.then(() => this.#raiseTogether(fall))
  }

  async stop(): Promise<void> {
    await this.end()
    await this.#node.stop(this.#options.name)
  }

  /** Ends the children that this life of the supervisor started; what another one did is its own. */
  async end(): Promise<void> {
    this.#stopped = true
    this.#unsubscribe()
    await this.#stopAll(this.#options.children)
  }

  /** Nothing below stands any more when the supervisor above hears of it. */
  async giveUpAll(error: unknown): Promise<void> {
    if (this.#stopped) return
    await this.end()
    this.#escalate?.(ClawmeshError.from(error))
  }

  #nodeLost({ name }: NodeInfo): void {
    for (const [child, run] of [...this.#runs])
      if (run.up && run.place === name) this.down(child, run.id, `node "${name}" was lost`)
  }

  async #raiseTogether(fall: Fall): Promise<void> {
    // Raised meanwhile, with another that fell.
    if (this.#stopped || this.#runs.has(fall.child.name)) return
    const { children } = this.#options
    const together = this.#strategy === 'one-for-all' ? children : children.slice(children.indexOf(fall.child))
    await this.#stopAll(together)
    await this.#raise(fall, together)
  }

  /** Starts the fallen child and those that fall with it, after a pause that grows with each time; or gives them up. */
  async #raise({ child: fallen, place: lostOn, reason }: Fall, together: Child[]): Promise<void> {
    try {
      await setTimeout(this.#pauseBefore(fallen, reason), undefined, { ref: false })
      for (const child of together) {
        if (this.#stopped) return
        const place = await this.#start(child, child === fallen ? lostOn : undefined)
        const why = child === fallen ? reason : `it stands or falls with ${fallen.name}`
        await this.#node.note('actor.restarted', { name: child.name, node: place, reason: why })
        this.#options.onRestart?.(child.name, place, why)
      }
    } catch (error) {
      if (!this.#stopped) await this.#giveUp(fallen, ClawmeshError.from(error))
    }
  }

  async #giveUp({ name }: Child, error: ClawmeshError): Promise<void> {
    const facts = { name, supervisor: this.#options.name, code: error.code, reason: error.message }
    await this.#node
      .note('actor.abandoned', { ...facts, escalates: this.#escalate !== undefined })
      .catch(() => undefined)
    if (this.#escalate) return this.giveUpAll(error)
    if (this.#strategy !== 'one-for-one') await this.#stopAll(this.#options.children)
    this.#options.onGiveUp?.(name, error)
  }

  /** In milliseconds. Throws RESTARTS_EXHAUSTED if there were too many. */
  #pauseBefore({ name }: Child, reason: string): number {
    const { restarts, withinMs } = this.#options.intensity ?? { restarts: 5, withinMs: 10_000 }
    const key = this.#strategy === 'one-for-one' ? name : ''
    const now = performance.now()
    const recent = [...(this.#restarts.get(key) ?? []).filter((time) => now - time < withinMs), now]
    this.#restarts.set(key, recent)
    if (recent.length > restarts) {
      throw new ClawmeshError(
        'RESTARTS_EXHAUSTED',
        `Actor "${name}" went down ${recent.length} times within ${withinMs / 1000} s; the last time ${reason}.`,
        { hint: 'Mend the cause and start it again.' },
      )
    }
    return recent.length === 1 ? 0 : Math.min(firstPauseMs * 2 ** (recent.length - 2), longestPauseMs)
  }

  /** Ends those that run; the last one first, where they build on one another. */
  async #stopAll(children: Child[]): Promise<void> {
    const stopping = children.toReversed().map((child) => () => this.#stopOne(child))
    if (this.#strategy === 'one-for-one') await Promise.all(stopping.map((stop) => stop()))
    else for (const stop of stopping) await stop()
  }

  async #stopOne({ name }: Child): Promise<void> {
    const run = this.#runs.get(name)
    this.#runs.delete(name)
    if (run) await this.#orderStop(name, run)
  }

  /** A node that cannot be reached has lost its children, or will when it sees that their names are taken. */
  async #orderStop(name: string, { place, id }: { place: string; id?: number }): Promise<void> {
    const node = this.#node.ref(nodeActorName(place))
    const of = { name: this.#options.name, ...(id === undefined ? {} : { run: id }) }
    await node.ask(StopActor, { name, of }, { timeoutMs: stopWithinMs }).catch(() => undefined)
  }

  /** What an earlier life of this supervisor left behind, on its own node's death or a hasty restart, makes room. */
  async #clear(name: string): Promise<void> {
    const left = this.#node.find(name)
    if (left) await this.#orderStop(name, { place: left.certificate.name })
  }

  /** Starts a child on the best node; what fails there is tried on another one until the time is up. */
  async #start(child: Child, avoid?: string): Promise<string> {
    const failed = new Set<string>(avoid === undefined ? [] : [avoid])
    const until = performance.now() + startWithinMs
    let last: unknown
    while (performance.now() < until && !this.#stopped) {
      const place = this.#choose(child, failed)
      if (place === undefined) {
        failed.clear()
        await setTimeout(lookAgainMs)
        continue
      }
      const run: Run = { id: ++this.#lastRun, place, up: false }
      this.#runs.set(child.name, run)
      try {
        const { name, definition, args } = child
        await this.#clear(name)
        const request = { definition, as: name, args, supervisor: { name: this.#options.name, run: run.id } }
        await this.#node.ref(nodeActorName(place)).ask(StartActor, request, { timeoutMs: 5000 })
        // It may have been lost between its answer and now, when nobody looked for this child there.
        if (!this.#node.directory.node(place)) throw new ClawmeshError('UNREACHABLE', `Node "${place}" was lost.`)
        if (this.#runs.get(name) !== run) {
          await this.#orderStop(name, run)
          throw new ClawmeshError('CANCELLED', `Actor "${name}" was stopped while it was started.`)
        }
        run.up = true
        if (run.down !== undefined) this.down(name, run.id, run.down)
        return place
      } catch (error) {
        last = error
        failed.add(place)
        if (this.#runs.get(child.name) === run) this.#runs.delete(child.name)
      }
    }
    const where = child.labels?.length ? ` with ${child.labels.join(', ')}` : ''
    const reason = last instanceof Error ? last.message : `no node${where} hosts "${child.definition}"`
    throw new ClawmeshError('UNREACHABLE', `Actor "${child.name}" could not be started on any node: ${reason}`, {
      cause: last,
    })
  }

  /** The preferred node, else the one with the fewest of our children; never one that just failed. */
  #choose(child: Child, failed: Set<string>): string | undefined {
    const { definition, labels = [] } = child
    const able = this.#node
      .nodes()
      .filter(({ name, draining }) => !draining && !failed.has(name))
      .filter((node) => isHost(node, definition) && labels.every((label) => node.labels.includes(label)))
      .map(({ name }) => name)
    if (child.prefers !== undefined && able.includes(child.prefers)) return child.prefers
    const taken = [...this.#runs.values()]
    const load = (name: string) => taken.filter(({ place }) => place === name).length
    return able.sort((a, b) => load(a) - load(b) || a.localeCompare(b))[0]
  }
}

/** Whether actors of this definition can be started on a node. */
export const isHost = ({ advert: { hosts } }: Pick<NodeInfo, 'advert'>, definition: string): boolean =>
  Array.isArray(hosts) && hosts.includes(definition)
