/**
 * The state of an agent's run, kept as the journal of a task: what it thought, what it did, what it waits for. A run that was cut off, or that waits for a person,
 * goes on when the same task is given again under the same id: it thinks nothing twice, and does nothing twice.
 *
 * 1. What a thought or an action may cost is set aside in the journal before it is begun, and its bill follows: a run that was cut off goes on with what is left, and what was cut off in it has cost
 *    all that was set aside. Its record says how sensitive all is that the run had seen by then, so that it does not forget what it must not tell.
 * 2. An action that was begun and not recorded is in doubt, unless it is one of the sandbox: those have the same effect when they are done again.
 * 3. A question is a step that nobody but a person can end. Several of one thought wait side by side, and an answer takes nothing over: a run that is under way goes on by it.
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
import { type AgentResult, agentResultSchema, type Budget } from './event.js'
import { type KeptLabel, labelKept } from './label.js'
import type { Thought } from './loop.js'
import type { Observation } from './observe.js'
import { finishName } from './tool.js'

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
const keptSchema = z.looseObject({ tokens: z.int().nonnegative().default(0), seen: sensitivitySchema.optional() })

const filesSchema = z.object({ workspace: z.string(), holder: z.string() })
/** Whose files a run is about: those of the node that it was begun on, which keeps its number through restarts, and what they were called then. */
type RunFiles = z.output<typeof filesSchema>

const factsSchema = z.object({ agent: z.string(), task: z.string(), files: filesSchema.optional() })
const outcomeSchema = z.object({ result: agentResultSchema })

/** The place of a call in a run: the number of its thought, and which of the calls of that thought it is, from 0. */
export interface Place {
  step: number
  index: number
}

/** What a call may use at most; of money only where that is limited. */
export interface Most {
  tokens: number
  ms: number
  money?: number | undefined
}

/** What a call has cost; null, or no money: nobody said, and that is all that was set aside for it. */
export type Bill = (tokens: number | null, money?: number) => Promise<void>

export interface RunJournal {
  /** The files that it is about, as `act` takes them; undefined: as for any action. */
  readonly workspace: string | undefined
  /** In this and all lives before. */
  readonly spent: { tokens: number; ms: number; money: number }
  readonly left: { tokens: number; ms: number; money: number }
  /** Sets aside what a call may use, on record before it is made. Time is billed as it passed. */
  reserve(purpose: string, most: Most): Promise<Bill>
  thought<T extends string>(step: number, allowance: Allowance, think: () => Promise<Thought | T>): Promise<Thought | T>
  action(
    place: Place,
    allowance: Allowance,
    done: { call: ToolCall; repeatable: boolean },
    act: () => Promise<Observation>,
  ): Promise<Observation>
  /** Undefined while no person has answered; `asked` is awaited before the question is first on record. */
  answer(place: Place, call: ToolCall, asked: () => Promise<void>): Promise<PersonsAnswer | undefined>
  end(result: AgentResult): Promise<void>
}

/** Of a run that nobody wants to go on with. */
export const unkept: RunJournal = {
  workspace: undefined,
  spent: { tokens: 0, ms: 0, money: 0 },
  left: { tokens: Number.POSITIVE_INFINITY, ms: Number.POSITIVE_INFINITY, money: Number.POSITIVE_INFINITY },
  reserve: async () => async () => undefined,
  thought: (_step, _allowance, think) => think(),
  action: (_place, _allowance, _done, act) => act(),
  answer: async () => undefined,
  end: async () => undefined,
}

/** Begins a task or takes it up; the result of one that has ended. Throws USAGE where another task has this id. */
export async function openRun(
  node: MeshNode,
  tasks: Tasks,
  id: string,
  facts: Pick<z.output<typeof factsSchema>, 'agent' | 'task'>,
  session: RouterSession,
  { tokens, ms, money }: Pick<Budget, 'tokens' | 'ms' | 'money'>,
): Promise<RunJournal | AgentResult> {
  const known = (await tasks.list()).find((task) => task.id === id)
  const budget = { tokens, ms, ...(money === undefined ? {} : { money }) }
  if (!known) {
    const files = ownFiles(node)
    return new KeptRun(node, await tasks.begin({ ...facts, ...(files && { files }) }, id, { budget }), session, files)
  }
  const same = factsSchema.safeParse(known.facts).data
  if (same?.agent !== facts.agent || same.task !== facts.task)
    throw new ClawmeshError('USAGE', `Task ${id} is another one.`, { hint: 'Give a new task an id of its own.' })
  const ended = outcomeSchema.safeParse(known.outcome).data
  if (ended) return ended.result
  const run = new KeptRun(node, await tasks.resume(id), session, same.files)
  await run.refuseForged()
  return run
}

function ownFiles(node: MeshNode): RunFiles | undefined {
  const { holder } = node.self.certificate
  const workspace = node.directory.node(node.name)?.advert['workspace']
  return typeof workspace === 'string' ? { workspace, holder } : undefined
}

/** What a run waits for: whether it may make this call. */
export interface Interruption {
  /** As the journal names it. */
  question: string
  call: ToolCall
}

/** All that a run waits for, in the order in which it asked. Rejects with NOT_FOUND for a task that there is not. */
export async function interruptions(tasks: Tasks, id: string): Promise<Interruption[]> {
  const steps = (await tasks.list()).find((known) => known.id === id)?.steps ?? []
  const { results } = await tasks.read(id)
  return steps.filter(isWaiting).flatMap(({ name: question }) => {
    const [, step, index = '1'] = /^question (\d+)(?:\.(\d+))?: /.exec(question) ?? []
    const thought = thoughtSchema.safeParse(results.find((done) => done.step === `thought ${step}`)?.result).data
    const call = thought?.calls.filter(({ name }) => name !== finishName)[Number(index) - 1]
    return call ? [{ question, call }] : []
  })
}

/**
 * A person's word on what a run waits for; `question` says on which, where there are several. In any order, and whether the run is under way or not. Give the task again,
 * under its id, and it goes on. Throws USAGE where it waits for nothing, or for several and none is named.
 */
export async function answerInterruption(
  node: MeshNode,
  tasks: Tasks,
  { id, question, answer, by }: PersonsAnswer & { id: string; question?: string | undefined },
): Promise<void> {
  const waiting = (await tasks.list()).find((known) => known.id === id)?.steps.filter(isWaiting) ?? []
  const meant = question === undefined ? waiting : waiting.filter(({ name }) => name === question)
  const [first, another] = meant
  if (!first)
    throw new ClawmeshError(
      'USAGE',
      `Task ${id} waits for no ${question === undefined ? 'answer' : `"${question}"`}.`,
      {
        hint: '`clawmesh tasks show` says how far it is.',
      },
    )
  if (another)
    throw new ClawmeshError('USAGE', `Task ${id} waits for ${meant.length} answers.`, {
      hint: `Say which question is answered: ${meant.map(({ name }) => `"${name}"`).join(', ')}.`,
    })
  const facts = { step: first.name, answer, by }
  await node.audit.intend({ kind: 'approval.answered', trace: id, actor: by, facts })
  await tasks.answer(id, first.name, { answer, by }, by)
}

const placed = ({ step, index }: Place, { name }: ToolCall) => `${step}${index === 0 ? '' : `.${index + 1}`}: ${name}`
/** The step that asks a person whether a call may be made. */
export const questionOf = (place: Place, call: ToolCall): string => `question ${placed(place, call)}`
export const isQuestion = (step: string): boolean => step.startsWith('question ')
const isWaiting = ({ name, state }: { name: string; state: string }) => isQuestion(name) && state === 'in doubt'

/** What a thought ended in when it is none: it is not kept, as it may be another the next time. */
class NoThought<T extends string> extends Error {
  readonly why: T

  constructor(why: T) {
    super(why)
    this.why = why
  }
}

class KeptRun implements RunJournal {
  readonly spent: RunJournal['spent']
  readonly left: RunJournal['left']
  readonly #node: MeshNode
  readonly #task: Task
  readonly #session: RouterSession
  readonly #label: KeptLabel
  readonly #files: RunFiles | undefined

  constructor(node: MeshNode, task: Task, session: RouterSession, files: RunFiles | undefined) {
    this.#node = node
    this.#task = task
    this.#session = session
    this.#files = files
    this.#label = labelKept(task, node.rootKey)
    const { spent, left } = task.budget ?? { spent: {}, left: {} }
    this.spent = { ...unkept.spent, ...spent }
    this.left = { ...unkept.left, ...left }
  }

  get workspace(): string | undefined {
    const there = this.#node.nodes().find(({ peer }) => peer.certificate.holder === this.#files?.holder)
    const now = there?.advert['workspace']
    return typeof now === 'string' ? now : this.#files?.workspace
  }

  async reserve(purpose: string, { money, ...most }: Most): Promise<Bill> {
    const since = this.#node.now()
    const { settle } = await this.#task.reserve(purpose, { ...most, ...(money === undefined ? {} : { money }) })
    return (tokens, cost = money) =>
      settle({
        tokens: tokens ?? most.tokens,
        ms: Math.max(0, this.#node.now() - since),
        ...(cost === undefined ? {} : { money: cost }),
      })
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
    place: Place,
    allowance: Allowance,
    { call, repeatable }: { call: ToolCall; repeatable: boolean },
    act: () => Promise<Observation>,
  ): Promise<Observation> {
    return this.#charged(`action ${placed(place, call)}`, observationSchema, repeatable, allowance, act)
  }

  async answer(place: Place, call: ToolCall, asked: () => Promise<void>): Promise<PersonsAnswer | undefined> {
    const unanswered = async (): Promise<PersonsAnswer> => {
      await asked()
      throw new ClawmeshError('UNREACHABLE', 'No person has answered yet.')
    }
    try {
      return await this.#task.step(questionOf(place, call), { result: answerSchema, repeatable: false }, unanswered)
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
    // Of one that began with a budget in its journal, that says what it has cost.
    if (!isNew && !this.#task.budget) allowance.setAside(kept.tokens)?.settle(kept.tokens)
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
