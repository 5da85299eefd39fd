/** The actors that run on a node: started under a name that nobody else in the mesh has, ended, and told to their supervisors when they crash. */
import { ClawmeshError } from '../../policies/errors.js'
import type { ActorDefinition } from './actor.js'
import { Cell, type SupervisedBy } from './cell.js'
import type { ActorRef } from './ref.js'
import { ActorDown } from './system.js'

export interface SpawnOptions<A> {
  /** The actor's name in the whole mesh; the definition's own if left out. */
  as?: string
  args?: A
  supervisor?: SupervisedBy
}

export interface LocalActorsOptions {
  /** The name in the whole mesh. Rejects where another node has it. */
  claim(actor: string): Promise<void>
  release(actor: string): Promise<void>
  ref(actor: string): ActorRef
  /** Of the name of the actor and the reason. */
  noteCrash(name: string, reason: string): Promise<void>
}

export class LocalActors {
  readonly #options: LocalActorsOptions
  readonly #cells = new Map<string, Cell>()
  #isClosed = false

  constructor(options: LocalActorsOptions) {
    this.#options = options
  }

  get(name: string): Cell | undefined {
    return this.#cells.get(name)
  }

  has(name: string): boolean {
    return this.#cells.has(name)
  }

  async spawn<A>(definition: ActorDefinition<A>, options: SpawnOptions<A>): Promise<ActorRef> {
    const { as = definition.name, args, supervisor } = options
    await this.#options.claim(as)
    try {
      return await this.start(definition as ActorDefinition, as, args, supervisor)
    } catch (error) {
      await this.#options.release(as)
      throw error
    }
  }

  /** Under a name that is the node's without having been claimed. */
  async start(
    definition: ActorDefinition,
    name: string,
    args?: unknown,
    supervisor?: SupervisedBy | undefined,
  ): Promise<ActorRef> {
    const cell = new Cell(definition, name, supervisor)
    const ref = this.#options.ref(name)
    let failed: Error | undefined
    await cell.start(ref, args, (error) => {
      failed ??= error
      void this.crashed(cell, error)
    })
    if (failed) throw failed
    // A supervisor whose first order was answered in vain gives it again: one actor under one name.
    this.#cells.get(name)?.end()
    this.#cells.set(name, cell)
    return ref
  }

  /** `of`: only if it was started for this supervisor and, where that is said, in this run. */
  async stop(name: string, of?: { name: string; run?: number | undefined }): Promise<void> {
    const supervisor = this.#cells.get(name)?.supervisor
    if (of && (supervisor?.name !== of.name || (of.run ?? supervisor.run) !== supervisor.run)) return
    this.#cells.get(name)?.end()
    this.#cells.delete(name)
    await this.#options.release(name)
  }

  /** Another node has the name now: who calls it from here finds the other one from now on. */
  taken(name: string): void {
    const cell = this.#cells.get(name)
    this.#cells.delete(name)
    cell?.end(new ClawmeshError('CANCELLED', `Actor "${name}" runs elsewhere now.`))
  }

  async crashed(cell: Cell, error: unknown): Promise<void> {
    if (this.#cells.get(cell.name) !== cell) return
    const reason = error instanceof Error ? error.message : String(error)
    this.#cells.delete(cell.name)
    cell.end(new ClawmeshError('ACTOR_CRASHED', `Actor "${cell.name}" crashed: ${reason}`))
    await this.#options.noteCrash(cell.name, reason)
    await this.#options.release(cell.name).catch(() => undefined)
    if (cell.supervisor) await this.#report(cell.supervisor, cell.name, reason)
  }

  /** All of them, for this reason. Their names are kept until `releaseAll`. */
  end(reason: ClawmeshError): void {
    this.#isClosed = true
    for (const cell of this.#cells.values()) cell.end(reason)
  }

  async releaseAll(): Promise<void> {
    await Promise.all([...this.#cells.keys()].map((name) => this.#options.release(name).catch(() => undefined)))
  }

  /** A report that is lost on the way leaves a child dead for good, so it is made until it is heard. */
  async #report(supervisor: SupervisedBy, child: string, reason: string): Promise<void> {
    while (!this.#isClosed) {
      try {
        await this.#options.ref(supervisor.name).ask(ActorDown, { name: child, run: supervisor.run, reason })
        return
      } catch (error) {
        if (!ClawmeshError.from(error).retry) return
        await new Promise((resolve) => setTimeout(resolve, reportAgainMs))
      }
    }
  }
}

const reportAgainMs = 200
