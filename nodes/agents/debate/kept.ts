/**
 * A debate that outlives its holder: what happened in it is kept as the journal of a task, so that whoever holds it next asks nobody for a vote that is there.
 *
 * 1. An event is recorded before anything follows from it. So the next holder comes to the same course, and asks those whose answer it lacks.
 * 2. One holder goes on: an earlier one that is still alive somewhere fails at its next event (FENCED).
 * 3. That a holder gave up is no event: the debate can be gone on with.
 */
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import type { TaskInfo } from '../../../mesh/task/record.js'
import type { Task } from '../../../mesh/task/task.js'
import type { Tasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Allowed } from '../job/take-up.js'
import type { Outcome } from './course.js'
import type { DebateRules } from './rules.js'
import { type DebateEvent, debateEventSchema } from './transcript.js'

export interface KeptDebate {
  /** What has happened so far, in order. */
  readonly events: DebateEvent[]
  /** Of the samples of its voters. */
  readonly seed: number
  /** Undefined for a debate that has ended. */
  readonly task: Task | undefined
}

const factsSchema = z.object({ debate: z.unknown(), seed: z.int(), subject: z.string().optional() })
const prefix = 'event '

/** Begins a debate or takes it up; one that was begun keeps what it was allowed then. Throws USAGE where another task has this id. */
export async function keepDebate(
  tasks: Tasks,
  id: string,
  rules: DebateRules,
  { seed, subject, allowed = {} }: { seed: number; subject?: string | undefined; allowed?: Allowed | undefined },
): Promise<KeptDebate> {
  const known = (await tasks.list()).find((task) => task.id === id)
  if (!known) {
    const facts = { request: rules.question, debate: plain(rules), seed, ...(subject === undefined ? {} : { subject }) }
    const until = allowed.ms === undefined ? undefined : Date.now() + allowed.ms
    return { events: [], seed, task: await tasks.begin(facts, id, { budget: allowed.budget, until }) }
  }
  const facts = factsSchema.safeParse(known.facts).data
  if (!facts || !isDeepStrictEqual(facts.debate, plain(rules)))
    throw new ClawmeshError('USAGE', `Task ${id} is another one.`, { hint: 'Give a new debate an id of its own.' })
  const task = known.state === 'ended' ? undefined : await tasks.resume(id)
  return { events: eventsOf(task ?? (await tasks.read(id))), seed: facts.seed, task }
}

/** Debates by the same rules, but for what its actors are called, and about the same person, that were cut off: the last one first. `rulesOf` has the rules of the debate of an id. */
export async function cutOffDebates(
  tasks: Tasks,
  rulesOf: (id: string) => DebateRules,
  subject?: string,
): Promise<TaskInfo[]> {
  const isSame = (id: string, facts: unknown) => {
    const known = factsSchema.safeParse(facts).data
    return known !== undefined && known.subject === subject && isDeepStrictEqual(known.debate, plain(rulesOf(id)))
  }
  return (await tasks.list()).filter(({ id, state, facts }) => state === 'unfinished' && isSame(id, facts)).reverse()
}

export const keepEvent = (task: Task, number: number, event: DebateEvent): Promise<void> =>
  task.note(`${prefix}${number}`, event)

export const endKept = (task: Task, { status, answer, reason }: Outcome): Promise<void> =>
  task.end({ ok: status === 'decided', answer: answer ?? reason })

const eventsOf = ({ results }: Pick<Task, 'results'>): DebateEvent[] =>
  results.filter(({ step }) => step.startsWith(prefix)).map(({ result }) => debateEventSchema.parse(result))

/** As it reads from a journal: what is not said is not there. */
const plain = (rules: DebateRules): unknown => JSON.parse(JSON.stringify(rules))
