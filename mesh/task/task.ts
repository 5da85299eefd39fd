/**
 * A task that outlives the process that does it. What it does is cut into steps; a step that has been recorded is never done again.
 *
 *     const task = await tasks.begin({ request })
 *     const plan = await task.step('plan', { result: planSchema, repeatable: true }, () => think(request))
 *     await task.step('mail', { result: z.null(), repeatable: false }, () => send(plan))
 *     await task.end({ ok: true })
 *
 * After a crash the same program runs again over `tasks.resume(id)`: recorded steps answer from the journal, and the first that is not recorded is done. A
 * step that was begun and not recorded may or may not have had its effect. One that says it is repeatable is done again; for any other, the task says that it
 * is in doubt and waits for a person.
 */
import type { z } from 'zod'
import { ClawmeshError, type ErrorCode, errorCodes } from '../../policies/errors.js'
import { type Allowance, type Bodies, mostBodyBytes, pieceBytes } from '../body.js'
import { type Amounts, amountsSchema, type Budget, type BudgetState } from './budget.js'
import type { Journal } from './journal.js'
import { budgetOf, describeTask, type StepState, stepsOf, type TaskRecord, taskRecordSchema } from './record.js'
import { again, type Retries } from './retry.js'
import { timeOver, whenOver } from './time.js'

/** What a task is about and what it came to are read with each list of tasks; its results where it goes on. */
export const allowances = {
  facts: {
    what: 'What a task is about',
    inRecord: 3 * pieceBytes,
    most: 8 * 1024 * 1024,
    instead: 'Write it to a file, and say where that is.',
  },
  outcome: {
    what: 'What a task came to',
    inRecord: 3 * pieceBytes,
    most: 8 * 1024 * 1024,
    instead: 'Write it to a file, and say where that is.',
  },
  result: {
    what: 'The result of a step',
    inRecord: pieceBytes,
    most: mostBodyBytes,
    instead: 'Write it to a file and give back where that is, or cut the step into smaller ones.',
  },
} as const satisfies Record<string, Allowance>

export type StepOptions<T> = {
  result: z.ZodType<T>
} & (
  | {
      /** Doing it twice is as good as doing it once. */
      repeatable: true
      /** How often it is done again where what it failed at may have passed; by nobody here, if left out. */
      retries?: Retries
    }
  | { repeatable: boolean; retries?: never }
)

/** What is set aside for a call. To be settled once, with what it used; null where nobody says, and that is all of it. */
export interface Reservation {
  readonly amounts: Amounts
  settle(bill: Amounts | null): Promise<void>
}

export class Task {
  readonly id: string
  readonly facts: unknown
  /** Milliseconds since 1970, by the clock of whoever began it. */
  readonly begunAt: number
  /** When its time is over, by the same clock; undefined: it has as long as it takes. */
  readonly until: number | undefined
  /** It was begun before, and goes on. */
  readonly isResumed: boolean
  readonly #journal: Journal
  readonly #bodies: Bodies
  readonly #steps: Map<string, StepState>
  readonly #budget: Budget | undefined
  /** Its budget was set aside there. */
  readonly #parent: Task | undefined

  readonly #now: () => number

  /** `records` are what the journal holds already, with all that is kept beside it. */
  constructor(journal: Journal, bodies: Bodies, records: TaskRecord[], now: () => number, parent?: Task) {
    this.#now = now
    const { id, facts, begunAt, until } = describeTask(records)
    this.id = id
    this.until = until
    this.facts = facts
    this.begunAt = begunAt
    this.isResumed = records.length > 1
    this.#journal = journal
    this.#bodies = bodies
    this.#steps = stepsOf(records)
    this.#budget = budgetOf(records)
    this.#parent = parent
  }

  /** Undefined: it has none. */
  get budget(): BudgetState | undefined {
    return this.#budget?.state
  }

  /**
   * Sets aside what a call may use at most; on record when it resolves, and to be made before the call. Rejects with BUDGET_SPENT if less is left of something. `child`: the task
   * that it is the budget of. Where the task has no budget, nothing is recorded.
   */
  async reserve(purpose: string, amounts: Amounts, child?: string): Promise<Reservation> {
    this.#checkTime()
    const budget = this.#budget
    if (!budget) return { amounts, settle: async () => undefined }
    const lacking = budget.lacks(amounts)
    if (lacking) throw spent(this.id, purpose, lacking, amounts, budget.state)
    const number = budget.nextNumber
    const reserved = {
      type: 'reserved',
      number,
      purpose,
      amounts,
      at: this.#now(),
      ...(child ? { child } : {}),
    } as const
    // Before it is on record, so that two at once never take the same.
    budget.take(reserved)
    await this.#append(reserved)
    // What is no amount is no bill: the journal would not be read again.
    return { amounts, settle: (bill) => this.#bill(number, amountsSchema.safeParse(bill).data ?? amounts) }
  }

  /** What a child has used, and what it did not use comes back; null where nobody knows. Nothing, if that is on record already. */
  async settleChild(child: string, bill: Amounts | null): Promise<void> {
    const reserved = this.#budget?.ofChild(child)
    if (reserved) await this.#bill(reserved.number, bill ?? reserved.amounts)
  }

  /** The tasks whose budget is set aside here. */
  get children(): string[] {
    return this.#budget?.children.flatMap(({ child }) => child ?? []) ?? []
  }

  async #bill(number: number, amounts: Amounts): Promise<void> {
    const billed = { type: 'billed', number, amounts } as const
    await this.#append(billed)
    this.#budget?.take(billed)
  }

  /** Of the steps that are done, in the order in which they were begun. */
  get results(): { step: string; result: unknown }[] {
    return [...this.#steps].flatMap(([step, { state, result }]) => (state === 'done' ? [{ step, result }] : []))
  }

  /**
   * Does a step once, or gives what it gave when it was done. Its intent is recorded before it begins and its result before anyone sees it. A failure that may be
   * gone the next time, or that comes from outside, is thrown and not recorded; any other is, and is thrown again on a replay. A result of more than 64 MiB is such a failure (MESSAGE_INVALID).
   * One that may be repeated and has `retries` is done again at the former, after a pause, before it is thrown; `run` is told how often it was done before. Rejects with IN_DOUBT, FENCED, BUDGET_SPENT
   * where the time of the task is over, or what `run` rejected with.
   */
  async step<T>(
    name: string,
    { result, repeatable, retries }: StepOptions<T>,
    run: (before: number) => Promise<T>,
  ): Promise<T> {
    const known = this.#steps.get(name)
    if (known?.state === 'done') return result.parse(known.result)
    if (known?.state === 'failed' && known.failure) throw revive(known.failure)
    if (known?.state === 'running') throw new Error(`step "${name}" of a task runs already: a name is used once`)
    if (known?.state === 'in doubt') throw inDoubt(this.id, name)
    this.#checkTime()
    const state: StepState = { state: 'running' }
    this.#steps.set(name, state)
    if (!known) await this.#append({ type: 'begun', step: name, repeatable })
    try {
      // Whatever is asked for: what may not be repeated is done once.
      const value = await again(repeatable ? retries : undefined, run)
      await this.#done(name, value)
      Object.assign(state, { state: 'done', result: value })
      return value
    } catch (error) {
      state.state = repeatable ? 'cut off' : 'in doubt'
      if (!(error instanceof ClawmeshError) || !isFinal(error)) throw error
      const failure = error
      const { code, message, hint } = failure
      await this.#append({ type: 'failed', step: name, failure: { code, message, hint } })
      Object.assign(state, { state: 'failed', failure: { code, message, hint } })
      throw error
    }
  }

  /** Records as done what needs no intent, since it only came from outside: one record, and no step that could be cut off. A name is used once. */
  async note(name: string, result: unknown): Promise<void> {
    if (this.#steps.has(name)) throw new Error(`"${name}" of a task is recorded already: a name is used once`)
    this.#steps.set(name, { state: 'running' })
    await this.#done(name, result)
    this.#steps.set(name, { state: 'done', result })
  }

  /** A person has found out what became of a step in doubt: `done` with this result, or to be done again. */
  async settle(name: string, verdict: { done: unknown } | 'again', by: string): Promise<void> {
    if (this.#steps.get(name)?.state !== 'in doubt') {
      throw new ClawmeshError('USAGE', `Step "${name}" of task ${this.id} is not in doubt.`, {
        hint: 'Look at the task again.',
      })
    }
    if (verdict === 'again') {
      await this.#append({ type: 'cleared', step: name, by })
      this.#steps.delete(name)
    } else {
      await this.#done(name, verdict.done)
      this.#steps.set(name, { state: 'done', result: verdict.done })
    }
  }

  /**
   * Does some of its work within its time: the signal that the work gets is that of the caller, and says BUDGET_SPENT when the time is over. Work that fails then fails with that.
   */
  async inTime<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { until } = this
    if (until === undefined) return work(signal)
    this.#checkTime()
    const over = new AbortController()
    const stop = whenOver(until, this.#now, () => over.abort(timeOver(this.id, until)))
    try {
      return await work(AbortSignal.any([signal, over.signal]))
    } catch (error) {
      over.signal.throwIfAborted()
      throw error
    } finally {
      stop()
    }
  }

  #checkTime(): void {
    if (this.until !== undefined && this.#now() >= this.until) throw timeOver(this.id, this.until)
  }

  async end(outcome: unknown, now = this.#now()): Promise<void> {
    const ended = { type: 'ended', at: now, outcome } as const
    await this.#bodies.keep(outcome, allowances.outcome, (body) =>
      this.#append(body ? { ...ended, outcome: undefined, body } : ended),
    )
    await this.#parent?.settleChild(this.id, this.budget?.spent ?? {})
  }

  #done(step: string, result: unknown): Promise<void> {
    const done = { type: 'done', step, result } as const
    return this.#bodies.keep(result, allowances.result, (body) =>
      this.#append(body ? { ...done, result: undefined, body } : done),
    )
  }

  #append(record: TaskRecord): Promise<void> {
    return this.#journal.append(record, (content) => this.#takesIn(content))
  }

  /** A person's answer that came meanwhile. */
  #takesIn(content: unknown): boolean {
    const record = taskRecordSchema.safeParse(content).data
    if (record?.type !== 'answered' || this.#steps.get(record.step)?.state !== 'in doubt') return false
    this.#steps.set(record.step, { state: 'done', result: record.result })
    return true
  }
}

/** Whether doing it again would end the same way. */
const isFinal = ({ code, retry }: ClawmeshError) => !retry && code !== 'CANCELLED' && code !== 'FENCED'

function revive({ code, message, hint }: NonNullable<StepState['failure']>): ClawmeshError {
  return new ClawmeshError(code in errorCodes ? (code as ErrorCode) : 'INTERNAL', message, { hint })
}

const words = { tokens: 'tokens', money: 'money', ms: 'time (ms)' } as const

const spent = (id: string, purpose: string, lacking: keyof Amounts, wanted: Amounts, { left }: BudgetState) =>
  new ClawmeshError(
    'BUDGET_SPENT',
    `Task ${id} has ${left[lacking]} of its ${words[lacking]} left; ${purpose} may take ${wanted[lacking]}.`,
    { hint: 'Begin another task with a larger budget.', data: { task: id, lacking, left: left[lacking] ?? 0 } },
  )

const inDoubt = (id: string, step: string) =>
  new ClawmeshError('IN_DOUBT', `Step "${step}" of task ${id} was begun, and whether it was done is not known.`, {
    hint: `Find out, then say it: \`clawmesh tasks settle ${id} --step "${step}" --as done|again\`.`,
    data: { task: id, step },
  })
