/**
 * Holds a debate: does what its course orders, and tells the course what came of it.
 *
 *     const { outcome, bill } = await debate(node, { question: 'What is 6 times 7?', voters: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] })
 *     outcome.status === 'decided' && outcome.answer   // '42'
 *
 * It ends, with an outcome, within the time of its rounds and its judge, whoever dies, stalls or answers nonsense. A voter that was lost is asked again,
 * as long as its round lasts. With `tasks` and an id it outlives its holder (kept.ts).
 */
import { randomInt, randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { z } from 'zod'
import type { MeshNode } from '../../../mesh/index.js'
import type { Task } from '../../../mesh/task/task.js'
import type { Tasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Prices } from '../../../policies/prices.js'
import { actions, thoughts } from '../authority.js'
import { type Bill as AskBill, Purse } from '../job/purse.js'
import type { Allowed } from '../job/take-up.js'
import { candidates } from '../model/candidate.js'
import { readPrices } from '../model/costs.js'
import { type Ballot, CastBallot, JudgeDebate } from './ballot.js'
import type { Bill } from './bill.js'
import { type Course, type Order, type Outcome, ordersOf, replay, roundOf, type Step, step } from './course.js'
import { Floor } from './floor.js'
import { endKept, type KeptDebate, keepDebate, keepEvent } from './kept.js'
import { type DebateRules, type DebateSpec, debateRules } from './rules.js'
import type { Vote } from './tally.js'
import type { DebateEvent, Transcript } from './transcript.js'

export interface DebateOptions {
  signal?: AbortSignal
  /** The task that it is held for; that of a debate that is kept is its id. */
  trace?: string
  /**
   * Keeps the debate under `id`: cut off by whatever, it is gone on with when it is held again under the same id by the same rules, on any node, and no vote that is there is asked
   * for again. The time of the round that was under way begins anew. Once it has ended, the same id gives the same result. `signal` ends the holding, and not the debate.
   */
  tasks?: Tasks
  id?: string
  /** Whom a debate that is kept is about. */
  subject?: string
  /** What a debate that is kept may cost and how long it may take, in all of its lives. Its tokens are a rule of it (`budget`). */
  allowed?: Allowed | undefined
  /** By which its money is counted; those that ship, if left out. */
  prices?: Prices | undefined
  /** Sees each event as it is taken, with the course after it. */
  onEvent?: (event: DebateEvent, course: Course) => void
}

export interface DebateResult {
  outcome: Outcome
  /** Of each round. */
  votes: Vote[][]
  bill: Bill
  /** `replay(transcript)` comes to the same outcome. */
  transcript: Transcript
}

/**
 * Throws what `debateRules` throws, and AUDIT_UNAVAILABLE when its beginning cannot be recorded; one that is kept throws USAGE where its id is that of another task, and FENCED or
 * BROKER_UNAVAILABLE where it cannot be kept any more. All else is an outcome.
 */
export async function debate(node: MeshNode, spec: DebateSpec, options: DebateOptions = {}): Promise<DebateResult> {
  const rules = debateRules(spec)
  const seed = rules.seed ?? randomInt(2 ** 32)
  const { id = randomUUID(), tasks } = options
  const kept = tasks
    ? await keepDebate(tasks, id, rules, { seed, subject: options.subject, allowed: options.allowed })
    : { events: [], seed, task: undefined }
  const { task, events } = kept
  const known = replay({ rules, events })
  if (tasks && !task) {
    if (hasEnded(known)) return resultOf(known, events)
    throw new ClawmeshError('USAGE', `Task ${id} was ended before the debate was.`, {
      hint: 'Give a new debate an id of its own.',
    })
  }
  const trace = tasks ? id : (options.trace ?? id)
  if (task?.isResumed)
    await node.audit.intend({ kind: 'task.resumed', trace, actor: 'debate', facts: { request: rules.question } })
  else await node.audit.intend({ kind: 'debate.opened', trace, actor: 'debate', facts: { ...rules } })
  const before = task?.isResumed && !hasEnded(known) ? await resumed(task, events, known) : known
  const held = new Held(node, kept, before, { ...options, trace })
  const { signal = new AbortController().signal } = options
  const run = (until: AbortSignal) => node.work('debate', { task: trace, actor: 'debate' }, () => held.run(until))
  const course = await (task ? task.inTime(signal, run) : run(signal))
  const { outcome } = course
  await node.audit.record({
    kind: 'vote.decided',
    trace,
    actor: 'debate',
    facts: { ...outcome, answer: outcome.answer ?? null, tokens: course.bill.tokens },
  })
  // Its time is over for whoever holds it next, too; that a holder gave up is no end.
  if (task && (!held.wasStopped || isOver(task))) await endKept(task, outcome)
  return resultOf(course, held.events)
}

const isOver = ({ until = Number.POSITIVE_INFINITY }: Task) => until <= Date.now()

const resultOf = (course: Ended, events: readonly DebateEvent[]): DebateResult => ({
  outcome: course.outcome,
  votes: course.rounds.map((round) => [...round]),
  bill: course.bill,
  transcript: { rules: course.rules, events: [...events] },
})

/** On record before anything is asked once more, so that no crash makes its budget larger. */
async function resumed(task: Task, events: DebateEvent[], known: Course): Promise<Course> {
  const event = { type: 'resumed' as const }
  await keepEvent(task, events.length + 1, event)
  events.push(event)
  return step(known, event).course
}

const attempts = 3

/** Asks that were lost and made again. */
interface Tries {
  lost?: number
}

type Cast = z.output<(typeof CastBallot)['reply']>

type Ended = Course & { outcome: Outcome }

const hasEnded = (course: Course): course is Ended => course.outcome !== undefined

class Held {
  readonly events: DebateEvent[]
  wasStopped = false
  readonly #node: MeshNode
  readonly #rules: DebateRules
  readonly #options: DebateOptions & { trace: string }
  readonly #seed: number
  readonly #floor: Floor
  readonly #task: Task | undefined
  readonly #purse: Purse | undefined
  /** Asks whose bill is not in the journal yet. */
  readonly #asked = new Set<Promise<unknown>>()
  #course: Course
  /** Ends with the last event that is being recorded. */
  #keeping = Promise.resolve()
  #underWay = manyHear()
  #timer: NodeJS.Timeout | undefined
  #ended: (course: Ended) => void = () => undefined
  #failed: (error: unknown) => void = () => undefined

  /** `before`: how far it came. */
  constructor(node: MeshNode, kept: KeptDebate, before: Course, options: DebateOptions & { trace: string }) {
    const { rules } = before
    this.#node = node
    this.#rules = rules
    this.#options = options
    this.#seed = kept.seed
    this.#task = kept.task
    const prices = options.prices ?? readPrices()
    this.#purse = kept.task && new Purse(kept.task, { prices, models: () => candidates(node) })
    this.#course = before
    this.events = [...kept.events]
    this.#floor = new Floor(node, [
      ...rules.voters.map(({ name }) => name),
      ...(rules.judge === undefined ? [] : [rules.judge]),
    ])
  }

  /** What was called off is billed by the time that this resolves. */
  async run(signal: AbortSignal): Promise<Ended> {
    const onAbort = () => this.#take({ type: 'stopped', reason: ClawmeshError.from(signal.reason).message })
    try {
      return await new Promise<Ended>((resolve, reject) => {
        this.#ended = resolve
        this.#failed = reject
        this.#follow({ course: this.#course, orders: ordersOf(this.#course) })
        if (signal.aborted) onAbort()
        else signal.addEventListener('abort', onAbort, { once: true })
      })
    } finally {
      signal.removeEventListener('abort', onAbort)
      clearTimeout(this.#timer)
      this.#underWay.abort(calledOff)
      this.#floor.close()
      if (this.#task?.budget) await Promise.all(this.#asked)
    }
  }

  #take(event: DebateEvent): void {
    if (this.#course.outcome) return
    const task = this.#task
    if (!task) return this.#taken(event)
    if (event.type === 'stopped') {
      this.wasStopped = true
      return this.#taken(event)
    }
    this.#keeping = this.#keeping
      .then(async () => {
        if (this.#course.outcome) return
        await keepEvent(task, this.events.length + 1, event)
        if (!this.#course.outcome) this.#taken(event)
      })
      .catch((error: unknown) => this.#failed(error))
  }

  #taken(event: DebateEvent): void {
    this.events.push(event)
    const before = this.#course
    this.#follow(step(before, event))
    void this.#record(event, before).catch(this.#failed)
    this.#options.onEvent?.(event, this.#course)
  }

  #follow({ course, orders }: Step): void {
    this.#course = course
    if (orders.some((order) => order.do !== 'cancel')) this.#startClock(roundOf(course))
    for (const order of orders) this.#do(order)
    const { outcome } = course
    if (outcome) this.#ended({ ...course, outcome })
  }

  #startClock(round: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#take({ type: 'late', round }), this.#rules.roundMs)
  }

  #do(order: Order): void {
    if (order.do === 'cancel') {
      this.#underWay.abort(calledOff)
      this.#underWay = manyHear()
      return
    }
    const { signal } = this.#underWay
    const voter = order.do === 'ask' ? order.voter : order.judge
    const { round } = order
    const tries: Tries = {}
    const asked = this.#ballot(order, signal, tries).then(
      (ballot) => signal.aborted || this.#take({ ...eventOf(round, voter, ballot), ...tries }),
      (error: unknown) => {
        const { code, message: reason } = ClawmeshError.from(error)
        if (!signal.aborted) this.#take({ type: 'failed', round, voter, code, reason, tokens: null, ...tries })
      },
    )
    this.#asked.add(asked)
    void asked.finally(() => this.#asked.delete(asked))
  }

  /** `tries` is told of each ask that was lost and made again. */
  async #ballot(order: Exclude<Order, { do: 'cancel' }>, signal: AbortSignal, tries: Tries): Promise<Ballot> {
    const { question, seen, roundMs } = this.#rules
    const call = { deadline: this.#node.now() + roundMs, signal, trace: this.#options.trace }
    for (let attempt = 1; ; attempt += 1) {
      const taken = await this.#purse?.take(purposeOf(order), { ms: roundMs })
      let bill: AskBill | null = signal.aborted ? free : null
      try {
        signal.throwIfAborted()
        const isAgain = attempt > 1
        if (order.do === 'judge') {
          const room = await this.#floor.enter(order.judge)
          const votes = await this.#floor.hear(order.votes, order.judge, isAgain)
          const request = { question, seen, votes, seed: this.#seed, room }
          const said = await this.#node
            .ref(order.judge)
            .ask(JudgeDebate, request, { ...call, entrust: thoughts(taken) })
          bill = billOf(said)
          return said
        }
        const { round, voter, own } = order
        const room = await this.#floor.enter(voter)
        const heard = await this.#floor.hear(order.heard, voter, isAgain)
        const request = {
          question,
          seen,
          round,
          heard,
          seed: this.#seedOf(voter, round),
          room,
          ...(own ? { own } : {}),
        }
        const ballot = await this.#node.ref(voter).ask(CastBallot, request, { ...call, entrust: actions(1, taken) })
        bill = billOf(ballot)
        return await this.#confirmed(ballot, voter, round)
      } catch (error) {
        // That the time is up is for the clock of the round to say, to all at once.
        if (this.#node.now() >= call.deadline) await aborted(signal)
        if (signal.aborted || attempt === attempts || !ClawmeshError.from(error).retry) throw error
        tries.lost = (tries.lost ?? 0) + 1
      } finally {
        await taken?.settle(bill)
      }
    }
  }

  /** What counts is what the others can read, where the voter has said it to them. */
  async #confirmed({ key, ...ballot }: Cast, voter: string, round: number): Promise<Ballot> {
    const { answer, confidence, reason } = ballot
    if (key && answer !== null) await this.#floor.confirm({ voter, answer, confidence, reason }, round, key)
    return ballot
  }

  /** Another one for each voter and round, so that no two samples are the same. */
  #seedOf(voter: string, round: number): number {
    const place = this.#rules.voters.findIndex(({ name }) => name === voter)
    return (this.#seed + 7919 * round + 104_729 * place) % 2 ** 32
  }

  /** Rounds are recorded as they end; votes by those who cast them. */
  async #record(event: DebateEvent, { rounds }: Course): Promise<void> {
    const isOver = this.#course.outcome !== undefined || this.#course.rounds.length > rounds.length
    if (event.type === 'failed' || event.type === 'late') await this.#note('debate.lost', { ...event })
    if (!isOver || rounds.length === 0) return
    const votes = this.#course.rounds[rounds.length - 1] ?? []
    await this.#note('debate.round', { round: rounds.length, votes: votes.map((vote) => ({ ...vote })) })
  }

  #note(kind: 'debate.round' | 'debate.lost', facts: Record<string, unknown>): Promise<void> {
    return this.#node.audit.record({ kind, trace: this.#options.trace, actor: 'debate', facts })
  }
}

/** It was called off while it waited for what others had set aside. */
const free: AskBill = { tokens: 0, uses: [] }

const billOf = ({ tokens, uses = null }: Ballot): AskBill => ({ tokens, uses })

const purposeOf = (order: Exclude<Order, { do: 'cancel' }>): string =>
  order.do === 'judge' ? `judge ${order.judge}` : `vote of ${order.voter} in round ${order.round}`

/** One abort ends the asks of all voters. */
function manyHear(): AbortController {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  return controller
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

const calledOff = new ClawmeshError('CANCELLED', 'The debate needs this answer no more.')

function eventOf(round: number, voter: string, { answer, confidence, reason, tokens }: Ballot) {
  if (answer === null) return { type: 'failed' as const, round, voter, code: 'MODEL_FAILED', reason, tokens }
  return { type: 'voted' as const, round, voter, answer, confidence, reason, tokens }
}
