/** One running actor: what its factory returned, behind a mailbox. */
import { ClawmeshError } from '../../policies/errors.js'
import { type ActorDefinition, type Handler, parse, type Self } from './actor.js'
import { Mailbox } from './mailbox.js'
import type { ActorRef } from './ref.js'

/** The actor to tell of a crash, and what it calls this run: a report of an earlier run must not end a later one. */
export interface SupervisedBy {
  name: string
  run: number
}

export interface Work {
  breakOff(reason: ClawmeshError): void
}

export class Cell {
  readonly definition: ActorDefinition
  readonly name: string
  readonly supervisor: SupervisedBy | undefined
  readonly mailbox: Mailbox
  /** What is being done now, to be broken off when the actor ends. */
  readonly work = new Set<Work>()
  readonly #ending = new AbortController()
  #handlers = new Map<string, Handler>()

  constructor(definition: ActorDefinition, name: string, supervisor: SupervisedBy | undefined) {
    this.definition = definition
    this.name = name
    this.supervisor = supervisor
    this.mailbox = new Mailbox(definition.mailbox, definition.concurrency)
  }

  get ended(): boolean {
    return this.#ending.signal.aborted
  }

  get signal(): AbortSignal {
    return this.#ending.signal
  }

  async start(ref: ActorRef, args: unknown, crash: Self['crash']): Promise<void> {
    const self: Self = { name: this.name, ref, signal: this.#ending.signal, crash }
    const handlers = await this.definition.start(
      self,
      parse(this.definition.args, args, `the arguments of actor "${this.definition.name}"`),
    )
    this.#handlers = new Map(handlers.map((handler) => [handler.message.name, handler]))
  }

  handler(message: string): Handler | undefined {
    return this.#handlers.get(message)
  }

  end(reason: ClawmeshError = new ClawmeshError('CANCELLED', `Actor "${this.name}" was stopped.`)): void {
    this.#ending.abort(reason)
    for (const work of this.work) work.breakOff(reason)
    this.mailbox.close()
  }
}
