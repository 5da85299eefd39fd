/** Where programs that have catalogs ask the MCP clients for whom they do something: an actor of this gateway, under a name of its own. A use can be asked by its number, for as long as it lasts. */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { actor, type Context, type MeshNode, on } from '../../../mesh/index.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { deskName, ElicitCaller, SampleCaller, TellCaller } from '../../catalog/messages.js'
import type { Use } from './offered.js'

const askedAtOnce = 256

export class Desk {
  readonly #node: MeshNode
  readonly #uses = new Map<string, { use: Use; program: string }>()
  #name: Promise<string> | undefined

  constructor(node: MeshNode) {
    this.#node = node
  }

  /** Lets the node that runs a program ask in this use, while `does` lasts. */
  async open<T>(use: Use, program: string, does: (desk: string, number: string) => Promise<T>): Promise<T> {
    this.#name ??= this.#start().catch((error: unknown) => {
      this.#name = undefined
      throw error
    })
    const desk = await this.#name
    const number = randomUUID()
    this.#uses.set(number, { use, program })
    try {
      return await does(desk, number)
    } finally {
      this.#uses.delete(number)
    }
  }

  async close(): Promise<void> {
    if (this.#name) await this.#node.stop(await this.#name)
  }

  async #start(): Promise<string> {
    const name = deskName(`${this.#node.name}/${randomUUID().slice(0, 8)}`)
    const definition = actor(
      'mcp-desk',
      () => [
        on(TellCaller, ({ use, told }, context) =>
          answered(async () => {
            const caller = this.#find(use, context)
            if (told.type === 'log') await caller.log(told.level, told.data)
            else await caller.progress?.(told.done, told.of, told.words)
            return null
          }),
        ),
        on(ElicitCaller, ({ use, question }, context) => answered(() => this.#find(use, context).elicit(question))),
        on(SampleCaller, ({ use, question }, context) => answered(() => this.#find(use, context).sample(question))),
      ],
      { args: z.undefined(), concurrency: askedAtOnce },
    )
    await this.#node.spawn(definition, { as: name })
    return name
  }

  #find(number: string, { sender }: Context): Use {
    const found = this.#uses.get(number)
    if (found?.program === sender.node) return found.use
    throw new ClawmeshError('NOT_FOUND', 'Nobody waits for this any more.')
  }
}

/** Whatever a client does or says, the desk is there for the others: what goes wrong is an answer. */
async function answered<T>(does: () => Promise<T>): Promise<T> {
  try {
    return await does()
  } catch (error) {
    throw ClawmeshError.from(error)
  }
}
