/** All tasks of a mesh, as whoever holds the tasks' key sees them: supervisors. The broker sees how many records there are and how large. */
import { randomUUID } from 'node:crypto'
import { ClawmeshError } from '../../policies/errors.js'
import type { Addresses } from '../address.js'
import type { Bucket, Entry, Transport } from '../transport/transport.js'
import { Journal } from './journal.js'
import { describeTask, Task, type TaskInfo, type TaskRecord, taskRecordSchema } from './task.js'

export interface TasksOptions {
  transport: Transport
  addresses: Addresses
  /** 32 secret bytes that seal every journal. */
  key: Uint8Array
  /** Who supervises, for the record. */
  by: string
  now?: () => number
}

export async function openTasks(options: TasksOptions): Promise<Tasks> {
  return new Tasks(await options.transport.bucket(options.addresses.tasks), options)
}

export class Tasks {
  readonly #bucket: Bucket
  readonly #options: TasksOptions

  constructor(bucket: Bucket, options: TasksOptions) {
    this.#bucket = bucket
    this.#options = options
  }

  /** `facts` are what the task needs to be done, in plain values. */
  async begin(facts: unknown, id: string = randomUUID()): Promise<Task> {
    const journal = this.#journal(this.#options.addresses.taskKey(id))
    const record: TaskRecord = { type: 'task', id, at: this.#now(), by: this.#options.by, facts }
    await journal.append(record)
    return new Task(journal, [record])
  }

  /** Takes a task over: whoever did it before can record nothing more. Rejects with USAGE if there is none, or it has ended. */
  async resume(id: string): Promise<Task> {
    const place = this.#options.addresses.taskKey(id)
    const journal = this.#journal(place)
    const entries = (await this.#entries()).filter(({ key }) => placeOf(key) === place)
    if (entries.length === 0)
      throw new ClawmeshError('USAGE', `There is no task ${id}.`, {
        hint: '`clawmesh tasks list` shows those that there are.',
      })
    const records = readAll(journal, entries)
    if (describeTask(records).state === 'ended')
      throw new ClawmeshError('USAGE', `Task ${id} has ended.`, { hint: `\`clawmesh tasks show ${id}\` says how.` })
    const resumed: TaskRecord = { type: 'resumed', at: this.#now(), by: this.#options.by }
    await journal.append(resumed)
    return new Task(journal, [...records, resumed])
  }

  /** What is known of each, oldest first. */
  async list(): Promise<TaskInfo[]> {
    return [...groupByPlace(await this.#entries())]
      .map(([place, entries]) => this.#describe(place, entries))
      .sort((a, b) => a.begunAt - b.begunAt)
  }

  /** Removes the journal of a task that has ended; rejects with USAGE for any other. What it did stays on the audit trail. */
  async forget(id: string): Promise<void> {
    const place = this.#options.addresses.taskKey(id)
    const entries = (await this.#entries()).filter(({ key }) => placeOf(key) === place)
    if (entries.length > 0 && this.#describe(place, entries).state !== 'ended')
      throw new ClawmeshError('USAGE', `Task ${id} has not ended.`, {
        hint: `\`clawmesh tasks cancel ${id}\` ends it.`,
      })
    // From the end, so that what is left after a crash still reads as a journal.
    const newestFirst = entries.sort((a, b) => b.revision - a.revision)
    for (const { key } of newestFirst) await this.#bucket.delete(key)
  }

  /** One damaged journal must not hide the others. */
  #describe(place: string, entries: Entry[]): TaskInfo {
    try {
      return describeTask(readAll(this.#journal(place), entries))
    } catch (error) {
      const { message } = ClawmeshError.from(error)
      return { id: place, begunAt: 0, by: '', facts: undefined, state: 'damaged', steps: [], outcome: message }
    }
  }

  async #entries(): Promise<Entry[]> {
    const entries = new Map<string, Entry>()
    const watch = await this.#bucket.watch((entry) => {
      if (entry.value === undefined) entries.delete(entry.key)
      else entries.set(entry.key, entry)
    })
    watch.unsubscribe()
    return [...entries.values()]
  }

  #journal(place: string): Journal {
    return new Journal(this.#bucket, place, this.#options.key)
  }

  #now(): number {
    return (this.#options.now ?? Date.now)()
  }
}

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
