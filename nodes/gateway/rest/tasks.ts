/** Tasks that were asked for over HTTP or MCP: done by this process, whoever looks on. */
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { MeshNode } from '../../../mesh/index.js'
import type { TaskInfo } from '../../../mesh/task/record.js'
import type { Tasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Workspace } from '../../../sandbox/workspace.js'
import { answerInterruption, isQuestion } from '../../agents/agent/journal.js'
import { planRequest } from '../../agents/job/plan.js'
import { doRequest, type Requested } from '../../agents/job/request.js'
import type { Allowed } from '../../agents/job/take-up.js'
import type { DataSubject } from '../../data-subject.js'
import { log } from '../../log.js'
import { checkWorkspace, listFiles } from '../../workspace.js'

const runsAtOnce = 8

interface Run {
  begun: Promise<string>
  stop: AbortController
  ended: Promise<void>
}

export class TaskRuns {
  readonly #node: MeshNode
  readonly #tasks: Tasks
  /** The one folder that requests are about: a caller must not look into others of this machine. */
  readonly workspace: Workspace | undefined
  /** By what was asked, about whom, and for how much: who asks for the same while it is being done, gets the same. */
  readonly #runs = new Map<string, Run>()

  constructor(node: MeshNode, tasks: Tasks, workspace: Workspace | undefined) {
    this.#node = node
    this.#tasks = tasks
    this.workspace = workspace
  }

  /** The id of the task, when it stands in its journal; `subject`: whom it is about; `allowed`: what it may use. Throws USAGE, WORKSPACE_UNREADABLE, RATE_LIMITED, UNREACHABLE. */
  async begin(request: string, subject: DataSubject | undefined, allowed: Allowed = {}): Promise<string> {
    const { workspace } = this
    if (workspace === undefined)
      throw new ClawmeshError('UNREACHABLE', 'This mesh offers no workspace that a task could be about.', {
        hint: 'Start it with `clawmesh up --workspace DIR`.',
      })
    checkWorkspace(workspace.folder)
    const files = () => listFiles(workspace.folder)
    planRequest(request, files)
    const what = JSON.stringify([request, subject?.name, allowed])
    const known = this.#runs.get(what)
    if (known) return known.begun
    if (this.#runs.size >= runsAtOnce)
      throw new ClawmeshError('RATE_LIMITED', `${runsAtOnce} tasks are being done here already.`, {
        hint: 'Wait until one has ended.',
      })
    const run = this.#start({ request, workspace, files, subject, allowed })
    this.#runs.set(what, run)
    void run.ended.finally(() => this.#runs.delete(what))
    return run.begun
  }

  /** All of the mesh, oldest first. */
  list(): Promise<TaskInfo[]> {
    return this.#tasks.list()
  }

  /** Resolves when a task that is done here has ended, or the time is over. */
  async ended(id: string, withinMs: number): Promise<void> {
    const over = setTimeout(withinMs, undefined, { ref: false })
    for (const { begun, ended } of this.#runs.values())
      if ((await begun.catch(() => '')) === id) await Promise.race([ended, over])
  }

  /** Says each step that is done, until the task has ended or the signal. It fails at nothing: nobody depends on it. */
  async tell(
    id: string,
    say: (done: number, of: number | undefined, step: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    let done = 0
    try {
      for await (const { record } of this.#tasks.follow(id, -1, signal))
        if (record.type === 'done') say(++done, undefined, record.step)
    } catch (error) {
      log.warn({ err: error, task: id }, 'how far a task is could not be told')
    }
  }

  /** An item for each record that is written of it from now on. Throws NOT_FOUND. */
  async *changes(id: string, signal: AbortSignal): AsyncGenerator<unknown> {
    const known = await this.#tasks.length(id)
    for await (const { number } of this.#tasks.follow(id, known - 1, signal)) yield number
  }

  async find(id: string): Promise<TaskInfo> {
    const task = (await this.#tasks.list()).find((one) => one.id === id)
    if (task) return task
    throw new ClawmeshError('NOT_FOUND', `There is no task ${id}.`)
  }

  async cancel(id: string, by: string): Promise<TaskInfo> {
    await this.find(id)
    const task = await this.#tasks.resume(id)
    await task.end({ ok: false, answer: `cancelled by ${by}` })
    for (const { begun, stop } of this.#runs.values())
      if ((await begun.catch(() => '')) === id) stop.abort(new ClawmeshError('CANCELLED', `Cancelled by ${by}.`))
    return this.find(id)
  }

  async settle(id: string, step: string, verdict: { done: unknown } | 'again', by: string): Promise<TaskInfo> {
    await this.find(id)
    if (isQuestion(step) && verdict !== 'again') {
      const answer = answered(verdict.done)
      await answerInterruption(this.#node, this.#tasks, { id, question: step, answer, by })
    } else await (await this.#tasks.resume(id)).settle(step, verdict, by)
    return this.find(id)
  }

  /** Cuts off what is under way: it can be asked for again, and goes on. */
  async close(): Promise<void> {
    const runs = [...this.#runs.values()]
    for (const { stop } of runs) stop.abort(new ClawmeshError('CANCELLED', 'The gateway is closing.'))
    await Promise.all(runs.map(({ ended }) => ended))
  }

  #start(asked: Pick<Requested, 'request' | 'workspace' | 'files' | 'subject' | 'allowed'>): Run {
    const stop = new AbortController()
    let settle: (id: string) => void = () => undefined
    let fail: (error: unknown) => void = () => undefined
    const begun = new Promise<string>((resolve, reject) => {
      settle = resolve
      fail = reject
    })
    const progress = (text: string) => log.debug({ request: asked.request.slice(0, 80) }, text)
    const prefix = `${this.#node.name}-${randomUUID().slice(0, 8)}`
    const requested = { ...asked, signal: stop.signal, progress, prefix }
    const ended = doRequest(this.#node, this.#tasks, { ...requested, onTask: ({ id }) => settle(id) }).then(
      () => undefined,
      (error: unknown) => {
        const { code, message } = ClawmeshError.from(error)
        log.debug({ code }, `a task that was asked for over HTTP ended: ${message}`)
        fail(error)
      },
    )
    return { begun, stop, ended }
  }
}

/** In whose name, the key says, and nothing that is sent along. */
function answered(result: unknown): 'allow' | 'refuse' {
  if (result === 'allow' || result === 'refuse') return result
  throw new ClawmeshError('MESSAGE_INVALID', 'A question of the run of an agent is answered by allow or refuse.', {
    hint: 'Send {"step": "question 1: …", "as": "done", "result": "allow"}.',
  })
}
