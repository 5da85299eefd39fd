/** All tasks of a mesh, as whoever holds the tasks' key sees them: supervisors. The broker sees how many records there are and how large. */
import { randomUUID } from 'node:crypto'
import { ClawmeshError } from '../../policies/errors.js'
import type { Addresses } from '../address.js'
import { Bodies, bodyOf } from '../body.js'
import { encode } from '../codec.js'
import type { Bucket, Entry, Transport } from '../transport/transport.js'
import type { Amounts } from './budget.js'
import { Journal } from './journal.js'
import { describeTask, type TaskInfo, type TaskRecord, taskRecordSchema } from './record.js'
import { allowances, Task } from './task.js'

export interface TasksOptions {
  transport: Transport
  addresses: Addresses
  /** 32 secret bytes that seal every journal. */
  key: Uint8Array
  /** Who supervises, for the record. */
  by: string
  now?: () => number
}

/** What a task may use, and as a part of what. */
export interface Begun {
  budget?: Amounts | undefined
  parent?: Task | undefined
  until?: number | undefined
}

export async function openTasks(options: TasksOptions): Promise<Tasks> {
  return new Tasks(await options.transport.bucket(options.addresses.tasks), options)
}

export class Tasks {
  readonly #bucket: Bucket
  readonly #options: TasksOptions
  readonly #now: () => number

  constructor(bucket: Bucket, options: TasksOptions) {
    this.#bucket = bucket
    this.#options = options
    this.#now = options.now ?? Date.now
  }

  /**
   * `facts` are what the task needs to be done, in plain values. `budget` is what it may use; where it has a parent, that is set aside there first, and what the parent limits and
   * it does not is all that the parent has left. `until` is when its time is over, in milliseconds since 1970; that of its parent, where that is sooner. Rejects with BUDGET_SPENT if the parent has less.
   */
  async begin(facts: unknown, id: string = randomUUID(), { budget, parent, until }: Begun = {}): Promise<Task> {
    const place = this.#options.addresses.taskKey(id)
    const [journal, bodies] = [this.#journal(place), this.#bodies(place)]
    const limit = parent?.budget ? { ...parent.budget.left, ...budget } : budget
    // What is refused for its size takes nothing of its parent.
    if (parent && limit) {
      bodyOf(encode(facts), allowances.facts)
      await parent.reserve(`task ${id}`, limit, id)
    }
    const end = Math.min(until ?? Number.POSITIVE_INFINITY, parent?.until ?? Number.POSITIVE_INFINITY)
    const record: TaskRecord = {
      ...{ type: 'task', id, at: this.#now(), by: this.#options.by, facts },
      ...(limit ? { budget: limit } : {}),
      ...(parent ? { parent: parent.id } : {}),
      ...(Number.isFinite(end) ? { until: end } : {}),
    }
    await bodies.keep(facts, allowances.facts, (body) =>
      journal.append(body ? { ...record, facts: undefined, body } : record),
    )
    return new Task(journal, bodies, [record], this.#now, parent)
  }

  /**
   * Takes a task over: whoever did it before can record nothing more. `parent`, where its budget is a part of that one's: what it did not use comes back when it ends. Rejects with
   * NOT_FOUND if there is none, and USAGE if it has ended.
   */
  async resume(id: string, parent?: Task): Promise<Task> {
    const place = this.#options.addresses.taskKey(id)
    const journal = this.#journal(place)
    const entries = await this.#entries(place)
    if (entries.length === 0) throw noTask(id)
    const records = await this.#whole(place, readAll(journal, entries))
    if (describeTask(records).state === 'ended')
      throw new ClawmeshError('USAGE', `Task ${id} has ended.`, { hint: `\`clawmesh tasks show ${id}\` says how.` })
    const resumed: TaskRecord = { type: 'resumed', at: this.#now(), by: this.#options.by }
    await journal.append(resumed, (content) => {
      const record = taskRecordSchema.safeParse(content).data
      if (record?.type === 'answered') records.push(record)
      return record?.type === 'answered'
    })
    const task = new Task(journal, this.#bodies(place), [...records, resumed], this.#now, parent)
    for (const child of task.children) await this.#settle(task, child)
    return task
  }

  /** Of a child that ended, or never began, when nobody was there to say so. What one took whose journal was removed is not known: all that it had. */
  async #settle(parent: Task, child: string): Promise<void> {
    const place = this.#options.addresses.taskKey(child)
    const entries = await this.#entries(place)
    if (entries.length === 0 && (await this.#bucket.get(`${place}.0`))) return parent.settleChild(child, null)
    const { state, budget } =
      entries.length > 0 ? this.#describe(place, entries) : { state: 'ended', budget: undefined }
    if (state === 'ended') await parent.settleChild(child, budget?.spent ?? {})
  }

  /**
   * What a person answers to a step that waits for nobody else. The task is not taken over: whoever does it goes on, and sees the answer. Rejects with NOT_FOUND if there is
   * none, and USAGE where that step waits for nothing, or for nothing any more.
   */
  async answer(id: string, step: string, result: unknown, by: string): Promise<void> {
    const place = this.#options.addresses.taskKey(id)
    for (;;) {
      const journal = this.#journal(place)
      const entries = await this.#entries(place)
      if (entries.length === 0) throw noTask(id)
      const { state, steps } = describeTask(readAll(journal, entries))
      if (state === 'ended' || steps.find(({ name }) => name === step)?.state !== 'in doubt')
        throw new ClawmeshError('USAGE', `Step "${step}" of task ${id} waits for no answer.`, {
          hint: `\`clawmesh tasks show ${id}\` says how far it is.`,
        })
      try {
        return await journal.append({ type: 'answered', step, result, by } satisfies TaskRecord)
      } catch (error) {
        // Somebody has written in the same moment: whether it still waits, the journal says.
        if (ClawmeshError.from(error).code !== 'FENCED') throw error
      }
    }
  }

  /** As it stands, for whoever only looks: it is not taken over, and nothing can be recorded. Rejects with NOT_FOUND if there is none. */
  async read(id: string): Promise<Pick<Task, 'id' | 'begunAt' | 'facts' | 'results' | 'budget'>> {
    const place = this.#options.addresses.taskKey(id)
    const journal = this.#journal(place)
    const entries = await this.#entries(place)
    if (entries.length === 0) throw noTask(id)
    return new Task(journal, this.#bodies(place), await this.#whole(place, readAll(journal, entries)), this.#now)
  }

  /** How many records its journal has now: those that follow have this number and higher ones. Rejects with NOT_FOUND if there is none. */
  async length(id: string): Promise<number> {
    const place = this.#options.addresses.taskKey(id)
    const entries = await this.#entries(place)
    if (entries.length === 0) throw noTask(id)
    return readAll(this.#journal(place), entries).length
  }

  /** What is known of each, oldest first. */
  async list(): Promise<TaskInfo[]> {
    const all = [...groupByPlace(await this.#entries())].map(([place, entries]) => this.#inFull(place, entries))
    return (await Promise.all(all)).sort((a, b) => a.begunAt - b.begunAt)
  }

  /**
   * The records of a task, numbered from 0, those after number `after` (-1: all); then whatever is written, until the task has ended or the signal. Rejects
   * with NOT_FOUND if there is none, and UNAUTHENTIC where its journal does not read.
   */
  async *follow(
    id: string,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<{ number: number; record: TaskRecord }> {
    const place = this.#options.addresses.taskKey(id)
    const journal = this.#journal(place)
    const waiting = new Map<string, Entry>()
    let wake: () => void = () => undefined
    const watch = await this.#bucket.watch((entry) => {
      if (entry.value !== undefined) waiting.set(entry.key, entry)
      wake()
    }, `${place}.*`)
    const onAbort = () => wake()
    signal.addEventListener('abort', onAbort)
    try {
      let next = 0
      if (!waiting.has(`${place}.0`)) throw noTask(id)
      while (!signal.aborted) {
        const key = `${place}.${next}`
        const entry = waiting.get(key)
        if (!entry) {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
          continue
        }
        waiting.delete(key)
        for (const record of await this.#whole(place, readAll(journal, [entry]), { withResults: false })) {
          if (next > after) yield { number: next, record }
          next += 1
          if (record.type === 'ended') return
        }
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      watch.unsubscribe()
    }
  }

  /** Whether it was done to its end, or removed. Not so of what is no task, or none that was ever kept here. */
  async hasEnded(id: string): Promise<boolean> {
    const place = this.#options.addresses.taskKey(id)
    const entries = await this.#entries(place)
    return entries.length > 0 ? this.#hasEnded(place, entries) : (await this.#bucket.get(`${place}.0`)) !== undefined
  }

  /** Removes the journal of a task that has ended; rejects with USAGE for any other. What it did stays on the audit trail. */
  async forget(id: string): Promise<void> {
    const place = this.#options.addresses.taskKey(id)
    const entries = await this.#entries(place)
    if (!(await this.#hasEnded(place, entries)))
      throw new ClawmeshError('USAGE', `Task ${id} has not ended.`, {
        hint: `\`clawmesh tasks cancel ${id}\` ends it.`,
      })
    // From the end, so that what is left after a crash still reads as a journal.
    const newestFirst = entries.sort((a, b) => b.revision - a.revision)
    await this.#bodies(place).forget()
    for (const { key } of newestFirst) await this.#bucket.delete(key)
  }

  /** Ends a task that has not ended, and removes it: whoever does it now records nothing more, not even anew. */
  async remove(id: string, outcome: unknown): Promise<void> {
    const place = this.#options.addresses.taskKey(id)
    for (;;) {
      const entries = await this.#entries(place)
      if (await this.#hasEnded(place, entries)) return this.forget(id)
      try {
        await (await this.resume(id)).end(outcome)
      } catch (error) {
        // Whoever does it has written in the same moment, or it has ended meanwhile: look again.
        const { code } = ClawmeshError.from(error)
        if (code !== 'FENCED' && code !== 'USAGE' && code !== 'NOT_FOUND') throw error
      }
    }
  }

  /** Also where its removal was cut short: the last records of its journal are gone, and nobody can write in their place. */
  async #hasEnded(place: string, entries: Entry[]): Promise<boolean> {
    if (entries.length === 0 || this.#describe(place, entries).state === 'ended') return true
    const next = await this.#bucket.get(`${place}.${entries.length}`)
    return next !== undefined && next.value === undefined
  }

  /** By its journal alone. One that is damaged must not hide the others. */
  #describe(place: string, entries: Entry[]): TaskInfo {
    try {
      return describeTask(readAll(this.#journal(place), entries))
    } catch (error) {
      return damaged(place, error)
    }
  }

  async #inFull(place: string, entries: Entry[]): Promise<TaskInfo> {
    try {
      const records = readAll(this.#journal(place), entries)
      return describeTask(await this.#whole(place, records, { withResults: false }))
    } catch (error) {
      return damaged(place, error)
    }
  }

  /** Of all journals, or of one. */
  async #entries(place = '*'): Promise<Entry[]> {
    const entries = new Map<string, Entry>()
    const watch = await this.#bucket.watch((entry) => {
      if (entry.value === undefined) entries.delete(entry.key)
      else entries.set(entry.key, entry)
    }, `${place}.*`)
    watch.unsubscribe()
    return [...entries.values()]
  }

  /** With what is kept beside the journal. */
  #whole(place: string, records: TaskRecord[], { withResults } = { withResults: true }): Promise<TaskRecord[]> {
    const read = async (record: TaskRecord): Promise<TaskRecord> => {
      if (!('body' in record) || !record.body || (record.type === 'done' && !withResults)) return record
      const { body, ...said } = record
      const kept = await this.#bodies(place).read(body)
      if (said.type === 'task') return { ...said, facts: kept }
      return said.type === 'ended' ? { ...said, outcome: kept } : { ...said, result: kept }
    }
    return Promise.all(records.map(read))
  }

  #bodies(place: string): Bodies {
    return new Bodies(this.#bucket, place, this.#options.key)
  }

  #journal(place: string): Journal {
    return new Journal(this.#bucket, place, this.#options.key)
  }
}

const damaged = (place: string, error: unknown): TaskInfo => ({
  id: place,
  begunAt: 0,
  by: '',
  facts: undefined,
  state: 'damaged',
  steps: [],
  outcome: ClawmeshError.from(error).message,
  budget: undefined,
  until: undefined,
})

const noTask = (id: string) =>
  new ClawmeshError('NOT_FOUND', `There is no task ${id}.`, { hint: '`clawmesh tasks list` has those that there are.' })

const placeOf = (key: string) => key.slice(0, key.indexOf('.'))

const readAll = (journal: Journal, entries: Entry[]) =>
  journal.read(entries).map((record) => taskRecordSchema.parse(record))

function groupByPlace(entries: Entry[]): Map<string, Entry[]> {
  const places = new Map<string, Entry[]>()
  for (const entry of entries) {
    const place = placeOf(entry.key)
    const group = places.get(place)
    if (group) group.push(entry)
    else places.set(place, [entry])
  }
  return places
}
