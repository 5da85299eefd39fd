/**
 * Requests that a client handed over to be done as tasks. The client need not wait: a task goes on when it has gone, until its end or that of this process.
 */
import type { MeshNode } from '../../mesh/index.js'
import type { TaskInfo } from '../../mesh/task/task.js'
import type { Tasks } from '../../mesh/task/tasks.js'
import { ClawmeshError } from '../../policies/errors.js'

/** Has a request done and tells the task's id as soon as there is one. */
export type DoRequest = (
  request: string,
  options: { signal: AbortSignal; team: string; onTask: (id: string) => void },
) => Promise<unknown>

const mostAtOnce = 4

export class Requests {
  readonly tasks: Tasks
  readonly #node: MeshNode
  readonly #do: DoRequest
  readonly #closing = new AbortController()
  readonly #underWay = new Map<number, Promise<unknown>>()
  #number = 0

  constructor(node: MeshNode, tasks: Tasks, doRequest: DoRequest) {
    this.#node = node
    this.tasks = tasks
    this.#do = doRequest
  }

  /** Resolves to the task's id when the task has ended, or `waitMs` are over. Throws MAILBOX_FULL, and what goes wrong before there is a task. */
  async begin(request: string, waitMs: number): Promise<string> {
    if (this.#underWay.size >= mostAtOnce)
      throw new ClawmeshError('MAILBOX_FULL', `${mostAtOnce} requests are being done already.`, {
        hint: 'Wait until one of them has ended.',
      })
    const number = this.#number++
    const id = await new Promise<string>((resolve, reject) => {
      const team = `${this.#node.name}-request-${number}`
      const work = this.#do(request, { signal: this.#closing.signal, team, onTask: resolve })
      // What goes wrong once there is a task, the task tells.
      const ended = work.catch(reject).finally(() => this.#underWay.delete(number))
      this.#underWay.set(number, ended)
    })
    await Promise.race([this.#underWay.get(number), waiting(waitMs)])
    return id
  }

  /** Of the task whose id begins so. */
  async find(id: string): Promise<TaskInfo> {
    const found = (await this.tasks.list()).filter((task) => task.id.startsWith(id))
    const [task, another] = found
    if (task && !another) return task
    throw new ClawmeshError('USAGE', `${another ? 'More than one task begins' : 'No task begins'} with "${id}".`, {
      hint: 'The list of tasks has their ids.',
    })
  }

  async close(): Promise<void> {
    this.#closing.abort(new ClawmeshError('CANCELLED', 'The mesh is draining.'))
    await Promise.allSettled(this.#underWay.values())
  }
}

const waiting = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref()
  })
