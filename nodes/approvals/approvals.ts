/**
 * Held actions as questions to people: kept on the broker's disk, brought to whoever follows, decided once.
 *
 * 1. A decision is on the audit stream and in the book before the action that waits for it hears of it.
 * 2. Exactly one decision counts: it is claimed before anything is awaited, and written over the very revision that was decided on.
 * 3. What nobody answers by its deadline is refused, also while this process was away.
 * 4. A flood stays small: the same asking of one task is one question, few questions of one task stand open at a time, and all that wait are counted.
 */
import { beatMs } from '../../mesh/directory.js'
import type { Context, MeshNode } from '../../mesh/index.js'
import { fromHex, hex } from '../../mesh/seal/keys.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { ApprovalAnswer, ApprovalQuestion } from '../../sandbox/approval.js'
import { answerWithinMs } from '../../sandbox/patience.js'
import { Answered, isNobody } from './answered.js'
import { Asking } from './asking.js'
import type { Book, Kept } from './book.js'
import { Followers } from './followers.js'
import { Grants } from './grants.js'
import {
  additions,
  type Decision,
  type Grant,
  grantOf,
  isSame,
  type Question,
  type Verdict,
  type View,
} from './question.js'
import { Waiting } from './waiting.js'

export interface ApprovalsOptions {
  /** Writes down what is asked and decided. */
  node: MeshNode
  book: Book
  /** Whether a task has ended: with it end the answers that stand for it alone. */
  hasEnded?: ((task: string) => Promise<boolean>) | undefined
  /** Given where nobody can come: while nobody follows, a question is refused at once, and this is told of it. */
  unattended?: ((question: Question) => void) | undefined
  /** 60 s if left out. */
  answerWithinMs?: number
  /** Within which those who wait ask this process again for what an earlier one left; 10 s if left out. */
  takenUpWithinMs?: number
}

const shownOfTask = 5
/** So that a refusal at the deadline arrives before the asker's own patience ends. */
const deliveryMs = 250
/** A node that lost its connection asks again within this. */
const backWithinMs = 5000

export class Approvals {
  readonly #options: ApprovalsOptions
  readonly #waiting = new Waiting()
  readonly #answered: Answered
  readonly #grants = new Grants()
  readonly #followers = new Followers()

  constructor(options: ApprovalsOptions) {
    this.#options = options
    this.#answered = new Answered(options.book)
  }

  /**
   * Takes up what an earlier process left: open questions go on, or end if their time is over. Whoever asked may have died with that process, and would ask
   * the same under another id when its task goes on: a question that nobody waits for must not stand before that one. One of a node that was started since
   * is nobody's already.
   */
  async begin(): Promise<void> {
    const { book, node, takenUpWithinMs = 10_000 } = this.#options
    for (const kept of await book.read()) {
      const { task, about } = kept.question
      if (about !== undefined) node.file(task, { wire: fromHex(about) })
      if (kept.question.verdict) {
        this.#answered.add(kept)
        continue
      }
      const asking = this.#wait(kept, true)
      if (this.#hasLost(kept.question)) await this.#end(asking, givenUp)
      else this.#awaitAsker(asking, takenUpWithinMs)
    }
  }

  /** By our clock, as the question: that of the node may be another. How far, is known but for the age of its last beat. */
  #hasLost({ node, askedAt }: Question): boolean {
    const { advert, aheadMs = 0 } = this.#options.node.directory.node(node) ?? {}
    const since = advert?.['since']
    return typeof since === 'number' && since + aheadMs - beatMs > askedAt
  }

  /** Resolves when it is decided, or its time is over. `node` and `task` are the caller's, whatever the question says. Rejects where it cannot be told whether the task has ended. */
  async ask(asked: ApprovalQuestion, { sender, trace, deadline, signal }: Context): Promise<ApprovalAnswer> {
    await this.#forgetEnded(this.#grants.tasks().filter((task) => task === trace))
    const known = this.#waiting.get(asked.id) ?? this.#answered.get(asked.id)
    if (known && known.question.node !== sender.node)
      throw new ClawmeshError('DENIED', `Question ${asked.id} is that of another node.`)
    const { verdict } = known?.question ?? {}
    if (verdict) return { answer: verdict.answer, by: verdict.by }
    const asking = this.#waiting.get(asked.id) ?? this.#admit(asked, sender.node, trace, deadline)
    if ('by' in asking) return asking
    asking.asksAgain()
    const leave = () => this.#awaitAsker(asking, backWithinMs)
    if (signal.aborted) leave()
    signal.addEventListener('abort', leave, { once: true })
    try {
      return await asking.answer
    } finally {
      signal.removeEventListener('abort', leave)
      asking.asksAgain()
    }
  }

  /** Throws NOT_FOUND, ALREADY_DECIDED or AUDIT_UNAVAILABLE. */
  async decide(id: string, decision: Decision, by: string, via: string): Promise<View> {
    for (;;) {
      const asking = this.#waiting.get(id)
      if (!asking?.isSeen) throw await this.#uncounted(id, decision, by, via)
      if (asking.deciding) await asking.deciding.catch(() => undefined)
      else if (this.#now() >= asking.question.deadline) await this.#end(asking, late)
      else return this.#claim(asking, { ...reaching(decision, asking.question), by, via, at: this.#now() })
    }
  }

  async revoke(id: string, by: string, via: string): Promise<void> {
    const grant = this.#grants.remove(id)
    if (!grant)
      throw new ClawmeshError('NOT_FOUND', `No answer stands by the id ${id}.`, { hint: 'List those that do.' })
    await this.#note('approval.revoked', grant.task ?? '', { grant: id, given: grant.by, uses: grant.uses, by, via })
  }

  /** Resolves to the ids of the questions, when none of them is kept any more. */
  async forgetTasks(tasks: ReadonlySet<string>): Promise<string[]> {
    this.#grants.forgetTasks(tasks)
    const open = this.#waiting.list().filter(({ question }) => tasks.has(question.task))
    await Promise.all(open.map((asking) => this.#end(asking, erased)))
    return this.#answered.forgetTasks(tasks)
  }

  async list(state: 'open' | 'all'): Promise<{ questions: View[]; grants: Grant[] }> {
    await this.#forgetEnded(this.#grants.tasks())
    const kept: Kept[] = [...(state === 'open' ? [] : this.#answered.list()), ...this.#waiting.seen()]
    return { questions: kept.map((one) => this.#waiting.view(one)), grants: this.#grants.list(this.#now()) }
  }

  async #forgetEnded(tasks: string[]): Promise<void> {
    const { hasEnded } = this.#options
    if (!hasEnded) return
    const ended = await Promise.all(tasks.map(async (task) => ((await hasEnded(task)) ? [task] : [])))
    this.#grants.forgetTasks(new Set(ended.flat()))
  }

  /** What is open, what changed since that revision, and then whatever changes, until the signal. */
  follow(after: number, task: string | undefined, signal: AbortSignal): AsyncIterable<View> {
    const past = after > 0 ? this.#answered.list().filter(({ revision }) => revision > after) : []
    const open = this.#waiting.seen().filter(({ revision }) => revision > after)
    const first = [...past, ...open].sort((a, b) => a.revision - b.revision).map((kept) => this.#waiting.view(kept))
    return this.#followers.follow(first, task, signal)
  }

  /** Lets go of all that waits: a later process takes it up. */
  close(): void {
    for (const asking of this.#waiting.list()) asking.stopClocks()
  }

  /** A new asking, or the answer that it has already. */
  #admit(asked: ApprovalQuestion, node: string, task: string, deadline: number): Asking | ApprovalAnswer {
    const { unattended, answerWithinMs: withinMs = answerWithinMs } = this.#options
    const now = this.#now()
    const limit = Math.min(deadline - deliveryMs, now + withinMs)
    const filed = this.#options.node.filedUnder(task)
    const about = filed && { about: hex(filed.wire) }
    const question: Question = { ...asked, node, task, askedAt: now, deadline: limit, verdict: null, ...about }
    if (!this.#waiting.hasRoomFor(task)) {
      const ofTask = this.#waiting.ofTask(task).length
      return { answer: 'refuse', by: `nobody: ${ofTask} actions of this task wait for people already` }
    }
    if (unattended && this.#followers.count === 0 && !this.#grants.find(question, now)) {
      unattended(question)
      return { answer: 'refuse', by: 'nobody: clawmesh does not run at a terminal, and nobody follows its questions' }
    }
    const asking = this.#wait({ question, revision: 0 }, false)
    this.#look(task)
    return asking
  }

  #wait(kept: Kept, isShown: boolean): Asking {
    const asking = new Asking(kept, isShown)
    asking.endAfter(Math.max(0, asking.question.deadline - this.#now()), () => void this.#end(asking, late))
    this.#waiting.add(asking)
    return asking
  }

  #awaitAsker(asking: Asking, withinMs: number): void {
    asking.awaitAsker(withinMs, () => void this.#end(asking, givenUp))
  }

  /** Answers what of a task has a standing answer, and shows people as much of the rest as they can take. */
  #look(task: string): void {
    const askings = this.#waiting.ofTask(task)
    const shown = askings.filter(({ isShown }) => isShown)
    for (const asking of askings) {
      if (asking.isShown) continue
      const grant = this.#grants.find(asking.question, this.#now())
      if (grant) void this.#byGrant(asking, grant)
      else if (shown.some((other) => isSame(other.question, asking.question))) this.#tell(shown, asking)
      else if (shown.length < shownOfTask) {
        shown.push(asking)
        void this.#show(asking)
      }
    }
  }

  /** Whoever sees the question sees how many more there are. */
  #tell(shown: Asking[], asking: Asking): void {
    for (const other of shown)
      if (isSame(other.question, asking.question)) this.#followers.tell(this.#waiting.view(other))
  }

  async #show(asking: Asking): Promise<void> {
    asking.isShown = true
    const { id, task, node, tool, args, missing, deadline } = asking.question
    try {
      await this.#note('approval.asked', task, { question: id, node, tool, args, missing, deadline })
      asking.revision = await this.#options.book.write(asking.question, 0)
      this.#followers.tell(this.#waiting.view(asking))
    } catch (error) {
      // What cannot be kept cannot be asked.
      this.#waiting.remove(asking)
      asking.settle({ answer: 'refuse', by: `nobody: ${ClawmeshError.from(error).message}` })
    }
  }

  async #byGrant(asking: Asking, grant: Grant): Promise<void> {
    this.#waiting.remove(asking)
    const { id, task, node, tool, args, missing } = asking.question
    const { answer, by } = grant
    const facts = { question: id, node, tool, args, missing, answer, by, grant: grant.id }
    // Before anything is awaited: of the last use there is one.
    grant.uses += 1
    try {
      await this.#options.node.audit.intend({ kind: 'approval.decided', trace: task, actor, facts })
      asking.settle({ answer, by: `${by}, by an answer that stands` })
    } catch (error) {
      asking.settle({ answer: 'refuse', by: `nobody: ${ClawmeshError.from(error).message}` })
    }
  }

  /** Its first step is taken before this returns, so that nobody else can claim the question meanwhile. */
  async #claim(asking: Asking, verdict: Verdict): Promise<View> {
    asking.deciding = this.#write(asking, verdict)
    try {
      const view = await asking.deciding
      const grant = grantOf(asking.question, verdict)
      if (grant) this.#stand(grant)
      this.#close(asking, verdict)
      return view
    } finally {
      asking.deciding = undefined
    }
  }

  async #write(asking: Asking, verdict: Verdict): Promise<View> {
    const { id, task, node, tool, args, missing } = asking.question
    const { at: _, ...decided } = verdict
    const facts = { question: id, node, tool, args, missing, adds: additions(missing), ...decided }
    await this.#options.node.audit.intend({ kind: 'approval.decided', trace: task, actor, facts })
    const question = { ...asking.question, verdict }
    asking.revision = await this.#options.book.write(question, asking.revision)
    asking.question = question
    return this.#waiting.view(asking)
  }

  /** Nobody decided. One that is being decided on at this moment is not touched, unless that fails. */
  async #end(asking: Asking, why: string): Promise<void> {
    await asking.deciding?.catch(() => undefined)
    if (this.#waiting.get(asking.question.id) !== asking) return
    const verdict: Verdict = { answer: 'refuse', reach: 'once', by: why, via: this.#options.node.name, at: this.#now() }
    // It is refused whether or not that can be written down.
    const claim = asking.isSeen ? this.#claim(asking, verdict) : undefined
    await claim?.catch(() => undefined)
    if (this.#waiting.get(asking.question.id) === asking) this.#close(asking, verdict)
  }

  /** Tells whoever waits, and looks at what stood behind it. */
  #close(asking: Asking, verdict: Verdict): void {
    const { task } = asking.question
    const { answer, by } = verdict
    this.#waiting.remove(asking)
    if (asking.question.verdict) this.#answered.add(asking)
    asking.settle({ answer, by })
    if (asking.question.verdict) this.#followers.tell(this.#waiting.view(asking))
    // A person's no to an action is one to the same action asked again meanwhile; a yes is for one.
    if (answer === 'refuse' && !isNobody(by))
      for (const other of this.#waiting.ofTask(task)) {
        if (other.isShown || !isSame(other.question, asking.question)) continue
        this.#waiting.remove(other)
        other.settle({ answer, by })
      }
    this.#look(task)
  }

  #stand(grant: Grant): void {
    this.#grants.add(grant, this.#now())
    const tasks = new Set(this.#waiting.list().map(({ question }) => question.task))
    queueMicrotask(() => tasks.forEach((task) => void this.#lookShown(task)))
  }

  /** A standing answer is one to what people see already, too. */
  #lookShown(task: string): void {
    for (const asking of this.#waiting.ofTask(task)) {
      const grant = this.#grants.find(asking.question, this.#now())
      if (!grant || !asking.isSeen || asking.deciding) continue
      const { answer, by } = grant
      const verdict: Verdict = {
        answer,
        reach: 'once',
        by: `${by}, by an answer that stands`,
        via: this.#options.node.name,
        at: this.#now(),
      }
      grant.uses += 1
      void this.#claim(asking, verdict).catch(() => undefined)
    }
  }

  async #uncounted(id: string, decision: Decision, by: string, via: string): Promise<ClawmeshError> {
    const error = this.#answered.objection(id)
    const task = this.#answered.get(id)?.question.task ?? ''
    await this.#note('approval.refused', task, { question: id, ...decision, by, via, why: error.message })
    return error
  }

  #note(
    kind: 'approval.asked' | 'approval.refused' | 'approval.revoked',
    task: string,
    facts: Record<string, unknown>,
  ) {
    return this.#options.node.note(kind, facts, task, actor)
  }

  #now(): number {
    return this.#options.node.now()
  }
}

const actor = 'approvals'

/** What belongs to no task has no session: an answer for one is for this once. */
const reaching = (decision: Decision, { task }: Question): Decision =>
  decision.reach === 'session' && task === '' ? { ...decision, reach: 'once' } : decision

const erased = 'nobody: whom its task is about was erased'
const givenUp = 'nobody: whoever asked has given up'
const late = 'nobody: the question was not answered in time'
