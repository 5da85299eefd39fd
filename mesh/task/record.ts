/** What a journal says of its task: the records, in their order, and what they come to. */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { bodySchema } from '../body.js'
import { amountsSchema, Budget, type BudgetState, budgetRecords } from './budget.js'

const failureSchema = z.object({ code: z.string(), message: z.string(), hint: z.string() })

export const taskRecordSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('task'),
    id: z.string(),
    at: z.number(),
    by: z.string(),
    facts: z.unknown(),
    /** Where they are kept, if they are too large for the record, and left out here. */
    body: bodySchema.optional(),
    /** What it may use; whatever it takes, if left out. */
    budget: amountsSchema.optional(),
    /** The task whose budget it is a part of. */
    parent: z.string().optional(),
    /** When its time is over, in milliseconds since 1970: an instant, so that no crash gives it more. */
    until: z.number().optional(),
  }),
  ...budgetRecords,
  z.object({ type: z.literal('resumed'), at: z.number(), by: z.string() }),
  z.object({ type: z.literal('begun'), step: z.string(), repeatable: z.boolean() }),
  /** `body`: where a large result is kept, which is left out here. */
  z.object({ type: z.literal('done'), step: z.string(), result: z.unknown(), body: bodySchema.optional() }),
  z.object({ type: z.literal('failed'), step: z.string(), failure: failureSchema }),
  /** A person has looked: as if it had never begun. */
  z.object({ type: z.literal('cleared'), step: z.string(), by: z.string() }),
  /** A person has answered what the step asks. Takes nothing over: whoever does the task goes on. */
  z.object({ type: z.literal('answered'), step: z.string(), result: z.unknown(), by: z.string() }),
  z.object({ type: z.literal('ended'), at: z.number(), outcome: z.unknown(), body: bodySchema.optional() }),
])
export type TaskRecord = z.output<typeof taskRecordSchema>

export interface StepState {
  /** Cut off: begun, not recorded, and may be done again. In doubt: begun, not recorded, and may not. */
  state: 'cut off' | 'in doubt' | 'running' | 'done' | 'failed'
  result?: unknown
  failure?: z.output<typeof failureSchema>
}

/** What is known of a task without doing anything. */
export interface TaskInfo {
  readonly id: string
  readonly begunAt: number
  readonly by: string
  readonly facts: unknown
  /** Damaged: its journal does not read, and nothing more is done with it. */
  readonly state: 'unfinished' | 'in doubt' | 'ended' | 'damaged'
  readonly steps: { name: string; state: StepState['state'] }[]
  readonly outcome: unknown
  /** Undefined: it has none. */
  readonly budget: BudgetState | undefined
  /** When its time is over, in milliseconds since 1970; undefined: it has as long as it takes. */
  readonly until: number | undefined
}

/** Pure: what the records of one journal say. */
export function describeTask(records: TaskRecord[]): TaskInfo {
  const [first] = records
  if (first?.type !== 'task') throw new ClawmeshError('UNAUTHENTIC', 'A journal does not begin with its task.')
  const ended = records.find((record) => record.type === 'ended')
  const steps = [...stepsOf(records)].map(([name, { state }]) => ({ name, state }))
  const isInDoubt = steps.some(({ state }) => state === 'in doubt')
  return {
    id: first.id,
    begunAt: first.at,
    by: first.by,
    facts: first.facts,
    state: ended ? 'ended' : isInDoubt ? 'in doubt' : 'unfinished',
    steps,
    outcome: ended?.type === 'ended' ? ended.outcome : undefined,
    budget: budgetOf(records)?.state,
    until: first.until,
  }
}

export function budgetOf(records: TaskRecord[]): Budget | undefined {
  const [first] = records
  if (first?.type !== 'task' || !first.budget) return undefined
  const budget = new Budget(first.budget)
  for (const record of records) {
    if (record.type === 'reserved' || record.type === 'billed') budget.take(record)
    // A task that has ended has no call under way either.
    else if (record.type === 'resumed' || record.type === 'ended') budget.resumed(record.at)
  }
  return budget
}

export function stepsOf(records: TaskRecord[]): Map<string, StepState> {
  const steps = new Map<string, StepState>()
  for (const record of records) {
    if (record.type === 'begun') steps.set(record.step, { state: record.repeatable ? 'cut off' : 'in doubt' })
    else if (record.type === 'done') steps.set(record.step, { state: 'done', result: record.result })
    else if (record.type === 'answered') steps.set(record.step, { state: 'done', result: record.result })
    else if (record.type === 'failed') steps.set(record.step, { state: 'failed', failure: record.failure })
    else if (record.type === 'cleared') steps.delete(record.step)
  }
  return steps
}
