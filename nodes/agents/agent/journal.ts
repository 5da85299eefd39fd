/**
 * The state of an agent's run, kept as the journal of a task: what it thought, what it did, what it waits for. A run that was cut off, or that waits for a person,
 * goes on when the same task is given again under the same id: it thinks nothing twice, and does nothing twice.
 *
 * 1. A thought or an action is recorded with what it cost, so that a run costs the same however often it is cut off, and with how sensitive all is that the run had
 *    seen by then, so that it does not forget what it must not tell.
 * 2. An action that was begun and not recorded is in doubt, unless it is one of the sandbox: those have the same effect when they are done again.
 * 3. A question is a step that nobody but a person can end.
 * 4. Of what it has seen a person's word takes something away, where the holder of the mesh's keys signed it (label.ts); anything else that says so is refused, on record.
 */
import { z } from 'zod'
import { type ToolCall, toolCallSchema } from '../../../inference/tool.js'
import type { MeshNode } from '../../../mesh/index.js'
import type { Task } from '../../../mesh/task/task.js'
import type { Tasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { labels, sensitivitySchema } from '../../../policies/router-label.js'
import { spelled } from '../../../policies/router-lowering.js'
import type { RouterSession } from '../../../router/session.js'
import type { Allowance } from './allowance.js'
import { type AgentResult, agentResultSchema } from './event.js'
import { type KeptLabel, labelKept } from './label.js'
import type { Thought } from './loop.js'
import type { Observation } from './observe.js'

const answerSchema = z.object({ answer: z.enum(['allow', 'refuse']), by: z.string() })
export type PersonsAnswer = z.output<typeof answerSchema>

const thoughtSchema = z.object({ text: z.string(), calls: z.array(toolCallSchema) })
const observationSchema: z.ZodType<Observation> = z.object({
  status: z.enum(['done', 'refused', 'denied', 'failed']),
  text: z.string(),
  said: z.object({ by: z.string(), label: z.enum(labels) }).optional(),
  handed: z.object({ output: z.unknown() }).optional(),
})
/** What a person settles has cost nothing, and brings nothing in. */
const keptSchema = z.looseObject({ tokens: z.int().default(0), seen: sensitivitySchema.optional() })

const factsSchema = z.object({ agent: z.string(), task: z.string() })
const outcomeSchema = z.object({ result: agentResultSchema })

export interface RunJournal {
  thought<T extends string>(step: number, allowance: Allowance, think: () => Promise<Thought | T>): Promise<Thought | T>
  action(
    step: number,
    allowance: Allowance,
    done: { call: ToolCall; repeatable: boolean },
    act: () => Promise<Observation>,
  ): Promise<Observation>
  /** Undefined while no person has answered; `asked` is awaited before the question is first on record. */
  answer(step: number, call: ToolCall, asked: () => Promise<void>): Promise<PersonsAnswer | undefined>
  end(result: AgentResult): Promise<void>
}

/** Of a run that nobody wants to go on with. */
export const unkept: RunJournal = {
  thought: (_step, _allowance, think) => think(),
  action: (_step, _allowance, _done, act) => act(),
  answer: async () => undefined,
  end: async () => undefined,
}

/** Begins a task or takes it up; the result of one that has ended. Throws USAGE where another task has this id. */
export async function openRun(
  node: MeshNode,
  tasks: Tasks,
  id: string,
  facts: z.output<typeof factsSchema>,
  session: RouterSession,
): Promise<RunJournal | AgentResult> {
  const known = (await tasks.list()).find((task) => task.id === id)
  if (!known) return new KeptRun(node, await tasks.begin(facts, id), session)
  const same = factsSchema.safeParse(known.facts).data
  if (same?.agent !== facts.agent || same.task !== facts.task)
    throw new ClawmeshError('USAGE', `Task ${id} is another one.`, { hint: 'Give a new task an id of its own.' })
  const ended = outcomeSchema.safeParse(known.outcome).data
  if (ended) return ended.result
  const run = new KeptRun(node, await tasks.resume(id), session)
  await run.refuseForged()
  return run
}

/** A person's word on what an interrupted run waits for. Give the task again, under its id, and the run goes on. Throws USAGE where it waits for nothing. */
export async function answerInterruption(
  node: MeshNode,
  tasks: Tasks,
  { id, answer, by }: PersonsAnswer & { id: string },
): Promise<void> {
  const waiting = (await tasks.list()).find((known) => known.id === id)?.steps.find(isWaiting)
  if (!waiting)
    throw new ClawmeshError('USAGE', `Task ${id} waits for no answer.`, {
      hint: '`clawmesh tasks show` says how far it is.',
    })
  const task = await tasks.resume(id)
  await node.audit.intend({
    kind: 'approval.answered',
    trace: id,
    actor: by,
    facts: { step: waiting.name, answer, by },
  })
  await task.settle(waiting.name, { done: { answer, by } }, by)
}

const questionName = (step: number, { name }: ToolCall) => `question ${step}: ${name}`
const isWaiting = ({ name, state }: { name: string; state: string }) =>
  name.startsWith('question ') && state === 'in doubt'

/** What a thought ended in when it is none: it is not kept, as it may be another the next time. */
class NoThought<T extends string> extends Error {
  readonly why: T

  constructor(why: T) {
    super(why)
    this.why = why
  }
}

class KeptRun implements RunJournal {
  readonly #node: MeshNode
  readonly #task: Task
  readonly #session: RouterSession
  readonly #label: KeptLabel

  constructor(node: MeshNode, task: Task, session: RouterSession) {
    this.#node = node
    this.#task = task
    this.#session = session
    this.#label = labelKept(task, node.rootKey)
  }

  async refuseForged(): Promise<void> {
    for (const { step, why } of this.#label.refused) await this.#refuse(step, why)
  }

  #refuse(step: string, why: string): Promise<void> {
    const facts = { step, why, label: spelled(this.#session.sensitivity) }
    return this.#node.audit.intend({ kind: 'label.refused', trace: this.#task.id, actor: this.#node.name, facts })
  }

  async thought<T extends string>(
    step: number,
    allowance: Allowance,
    think: () => Promise<Thought | T>,
  ): Promise<Thought | T> {
    try {
      return await this.#charged(`thought ${step}`, thoughtSchema, true, allowance, async () => {
        const thought = await think()
        if (typeof thought === 'string') throw new NoThought(thought)
        return { text: thought.text, calls: thought.calls }
      })
    } catch (error) {
      if (error instanceof NoThought) return error.why as T
      throw error
    }
  }

  action(
    step: number,
    allowance: Allowance,
    { call: { name }, repeatable }: { call: ToolCall; repeatable: boolean },
    act: () => Promise<Observation>,
  ): Promise<Observation> {
    return this.#charged(`action ${step}: ${name}`, observationSchema, repeatable, allowance, act)
  }

  async answer(step: number, call: ToolCall, asked: () => Promise<void>): Promise<PersonsAnswer | undefined> {
    const unanswered = async (): Promise<PersonsAnswer> => {
      await asked()
      throw new ClawmeshError('UNREACHABLE', 'No person has answered yet.')
    }
    try {
      return await this.#task.step(questionName(step, call), { result: answerSchema, repeatable: false }, unanswered)
    } catch (error) {
      const { code } = ClawmeshError.from(error)
      if (code === 'UNREACHABLE' || code === 'IN_DOUBT') return undefined
      throw error
    }
  }

  /** What was done before has cost what it cost then. */
  async #charged<T extends object>(
    name: string,
    schema: z.ZodType<T>,
    repeatable: boolean,
    allowance: Allowance,
    run: () => Promise<T>,
  ): Promise<T> {
    const before = allowance.spent
    let isNew = false
    const kept = await this.#task.step(name, { result: keptSchema, repeatable }, async () => {
      isNew = true
      return { ...(await run()), tokens: allowance.spent - before, seen: this.#session.sensitivity }
    })
    if (!isNew) allowance.setAside(kept.tokens)?.settle(kept.tokens)
    if (kept.seen) this.#session.raise(kept.seen)
    for (const lowering of isNew ? [] : (this.#label.lowerings.get(name) ?? []))
      if (!this.#session.bringDown(lowering))
        await this.#refuse(name, 'more has been seen than what the person said it of')
    return schema.parse(kept)
  }

  async end(result: AgentResult): Promise<void> {
    if (result.by === 'interrupted') return
    await this.#task.end({ ok: result.by === 'answer', answer: result.answer || result.reason, result })
  }
}
