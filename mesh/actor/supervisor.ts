/**
 * Keeps children running somewhere in the mesh. A child that crashes is started again on another node if there is one; the children of a node that
 * is lost are started elsewhere; too many restarts in too short a time end the supervisor's patience, and it says so.
 */
import { ClawmeshError } from '../../policies/errors.js'
import type { NodeInfo } from '../directory.js'
import type { MeshNode } from '../node.js'
import { actor, on } from './actor.js'
import { ActorDown, nodeActorName, StartActor, StopActor } from './system.js'

export interface Child {
  /** The child's name in the mesh. */
  name: string
  /** The name of a definition that some nodes host. */
  definition: string
  args?: unknown
  /** The node it should start on if it can; any other one will do after that. */
  prefers?: string
}

export interface SuperviseOptions {
  name: string
  children: Child[]
  /** More restarts of one child than this within the time, and it is given up. */
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
const retryAfterMs = 100

export async function supervise(node: MeshNode, options: SuperviseOptions): Promise<Supervisor> {
  const supervision = new Supervision(node, options)
  await node.spawn(
    actor(options.name, () => [
      on(ActorDown, ({ name, run, reason }) => {
        supervision.down(name, run, `it crashed: ${reason}`)
        return null
      }),
    ]),
  )
  node.directory.onLost((lost) => supervision.nodeLost(lost))
  await supervision.startAll()
  return supervision
}

/** One life of a child, from the order to start it until it is down. */
interface Run {
  id: number
  place: string
  /** The order was answered. */
  up: boolean
  /** Why it is down, when the report of that was faster than the answer to the order. */
  down?: string
}

class Supervision implements Supervisor {
  readonly #node: MeshNode
  readonly #options: SuperviseOptions
  /** The present run of each child. One that is being started counts as load on its node already. */
  readonly #runs = new Map<string, Run>()
  readonly #restarts = new Map<string, number[]>()
  #lastRun = 0
  #stopped = false

  constructor(node: MeshNode, options: SuperviseOptions) {
    this.#node = node
    this.#options = options
  }

  placeOf(child: string): string | undefined {
    const run = this.#runs.get(child)
    return run?.up ? run.place : undefined
  }

  async startAll(): Promise<void> {
    await Promise.all(this.#options.children.map((child) => this.#start(child, undefined)))
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
    void this.#restart(child, run.place, reason)
  }

  nodeLost({ name }: NodeInfo): void {
    for (const [child, run] of [...this.#runs])
      if (run.up && run.place === name) this.down(child, run.id, `node "${name}" was lost`)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(
      [...this.#runs].map(([name, { place }]) =>
        this.#node
          .ref(nodeActorName(place))
          .ask(StopActor, { name }, { timeoutMs: 2000 })
          .catch(() => undefined),
      ),
    )
    await this.#node.stop(this.#options.name)
  }

  async #restart(child: Child, lostOn: string, reason: string): Promise<void> {
    const { restarts, withinMs } = this.#options.intensity ?? { restarts: 5, withinMs: 10_000 }
    const now = performance.now()
    const recent = [...(this.#restarts.get(child.name) ?? []).filter((time) => now - time < withinMs), now]
    this.#restarts.set(child.name, recent)
    try {
      if (recent.length > restarts) {
        throw new ClawmeshError(
          'RESTARTS_EXHAUSTED',
          `Actor "${child.name}" went down ${recent.length} times within ${withinMs / 1000} s; the last time ${reason}.`,
          { hint: 'Mend the cause and start it again.' },
        )
      }
      const place = await this.#start(child, lostOn)
      await this.#node.note('actor.restarted', { name: child.name, node: place, reason })
      this.#options.onRestart?.(child.name, place, reason)
    } catch (error) {
      if (!this.#stopped) this.#options.onGiveUp?.(child.name, ClawmeshError.from(error))
    }
  }

  /** Starts a child on the best node; what fails there is tried on another one until the time is up. */
  async #start(child: Child, avoid: string | undefined): Promise<string> {
    const failed = new Set<string>(avoid === undefined ? [] : [avoid])
    const until = performance.now() + startWithinMs
    let last: unknown
    while (performance.now() < until && !this.#stopped) {
      const place = this.#choose(child, failed)
      if (place === undefined) {
        failed.clear()
        await new Promise((resolve) => setTimeout(resolve, retryAfterMs))
        continue
      }
      const run: Run = { id: ++this.#lastRun, place, up: false }
      this.#runs.set(child.name, run)
      try {
        const { name, definition, args } = child
        const request = { definition, as: name, args, supervisor: { name: this.#options.name, run: run.id } }
        await this.#node.ref(nodeActorName(place)).ask(StartActor, request, { timeoutMs: 5000 })
        // It may have been lost between its answer and now, when nobody looked for this child there.
        if (!this.#node.directory.node(place)) throw new ClawmeshError('UNREACHABLE', `Node "${place}" was lost.`)
        run.up = true
        if (run.down !== undefined) this.down(name, run.id, run.down)
        return place
      } catch (error) {
        last = error
        failed.add(place)
        this.#runs.delete(child.name)
      }
    }
    const reason = last instanceof Error ? last.message : `no node hosts "${child.definition}"`
    throw new ClawmeshError('UNREACHABLE', `Actor "${child.name}" could not be started on any node: ${reason}`, {
      cause: last,
    })
  }

  /** The preferred node, else the one with the fewest of our children; never one that just failed. */
  #choose(child: Child, failed: Set<string>): string | undefined {
    const able = this.#node
      .nodes()
      .filter(
        ({ name, draining, advert }) => !draining && !failed.has(name) && hosts(advert['hosts'], child.definition),
      )
      .map(({ name }) => name)
    if (child.prefers !== undefined && able.includes(child.prefers)) return child.prefers
    const taken = [...this.#runs.values()]
    const load = (name: string) => taken.filter(({ place }) => place === name).length
    return able.sort((a, b) => load(a) - load(b) || a.localeCompare(b))[0]
  }
}

const hosts = (hosted: unknown, definition: string) => Array.isArray(hosted) && hosted.includes(definition)
