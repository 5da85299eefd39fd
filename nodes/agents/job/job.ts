/**
 * The supervisor's side of a task: plan, hand the parts out, take lost ones back, let three agents vote, answer. What it decides is on the audit stream
 * before it acts on it, and each step is in the task's journal: a job that was cut off goes on with the first that is not.
 */
import { z } from 'zod'
import type { MeshNode } from '../../../mesh/index.js'
import type { Task } from '../../../mesh/task/task.js'
import { ClawmeshError, type ErrorCode } from '../../../policies/errors.js'
import type { Prices } from '../../../policies/prices.js'
import type { ToolOutcome } from '../../../sandbox/outcome.js'
import { actions } from '../authority.js'
import { candidates } from '../model/candidate.js'
import { readPrices } from '../model/costs.js'
import { offeredTools } from '../tools.js'
import { wasKilled } from './killed.js'
import { addUp, euros, type Ledger, readCheckedFile } from './ledger.js'
import { type Part, planRequest, planSchema } from './plan.js'
import { sayWhileWaiting } from './progress.js'
import { type Bill, Purse } from './purse.js'
import { type Allowed, letGo } from './take-up.js'
import { inTurn } from './turn.js'
import { type Ballot, majority, type Result } from './vote.js'
import { ballotSchema, CastVote, filesAtOnce, type LedgerBallot, triesPerFile } from './voter.js'
import { DoPart, type Report, reportSchema } from './worker.js'

export interface Job {
  request: string
  /** Whose files it is about; see `workspaceId`. */
  workspace: string
  /** These files, relative to their folder. */
  files: () => string[]
  /** Names of the worker actors. */
  workers: string[]
  signal: AbortSignal
  progress: (text: string) => void
  /** What its task may use, if it begins with the job. */
  allowed?: Allowed | undefined
  /** By which a budget of money is held; the table that comes with clawmesh if left out. */
  prices?: Prices | undefined
  /** How often to say that something still goes on; every 10 s unless told. */
  sayEveryMs?: number
}

/** Either what a worker reported, or why there is no report. */
export type Done =
  | { part: Part; report: Report; error?: undefined }
  | { part: Part; report?: undefined; error: ClawmeshError }

export interface LedgerVote {
  total: Result<number>
  faulty: Result<LedgerBallot['faulty']>
  ballots: Ballot<LedgerBallot>[]
}

export interface JobResult {
  task: string
  /** Undefined: it is done. Otherwise what it lacks. */
  error: ClawmeshError | undefined
  answer: string
  parts: Done[]
  ledger: Ledger | undefined
  vote: LedgerVote | undefined
}

const partTimeoutMs = 120_000
const voteTimeoutMs = 240_000
const attempts = 5
const partsAtOnce = 2
const patienceMs = 10_000

/** What a model calls when no other tool does what was asked. */
const noTool = 'no_tool'

/** The task ends with the job, and with its time. If the job is cut off from outside, it goes on when the same is asked again; if a person stops it, it does not. */
export async function runJob(node: MeshNode, task: Task, job: Job): Promise<JobResult> {
  try {
    const result = await node.work('task', { task: task.id, actor: 'supervisor' }, () =>
      task.inTime(job.signal, (signal) => work(node, task, { ...job, signal })),
    )
    const on = [...new Set(result.parts.flatMap(({ report }) => report?.node ?? []))]
    await task.end({ ok: result.error === undefined, answer: result.answer, on })
    return result
  } catch (thrown) {
    const error = ClawmeshError.from(thrown)
    const isCutOff = error.retry || cutsOff.has(error.code)
    if (!isCutOff || wasWithdrawn(job.signal))
      await task.end({ ok: false, answer: error.message }).catch(() => undefined)
    throw thrown
  } finally {
    await letGo(node, task.id)
  }
}

/** What ends whoever did a task, and not the task. */
export const cutsOff = new Set<ErrorCode>(['CANCELLED', 'FENCED', 'IN_DOUBT', 'INTERNAL'])

/** By a person, with Ctrl-C: what was asked is not to go on. */
export const wasWithdrawn = ({ reason }: AbortSignal): boolean =>
  reason instanceof ClawmeshError && reason.data['signal'] === 'SIGINT'

async function work(node: MeshNode, task: Task, job: Job): Promise<JobResult> {
  const note = (kind: Parameters<MeshNode['note']>[0], facts: Record<string, unknown>) =>
    node.audit.intend({ kind, trace: task.id, actor: 'supervisor', facts })
  await note(task.isResumed ? 'task.resumed' : 'task.started', { request: job.request })
  const plan = await task.step('plan', { result: planSchema, repeatable: true }, async () => {
    const planned = planRequest(job.request, job.files)
    await note('task.planned', { ...planned })
    return planned
  })
  const parts = [...plan.collective, ...plan.single]
  const purse = new Purse(task, { prices: job.prices ?? readPrices(), models: () => candidates(node) })
  const done = await doParts(node, task, job, parts, purse)
  const checked = done.flatMap(({ part, report }) =>
    report && part.file !== undefined ? (readCheckedFile(part.file, report) ?? []) : [],
  )
  const isLedger = plan.collective.length > 0 && checked.length === plan.collective.length
  const ledger = isLedger ? addUp(checked) : undefined
  const vote = ledger ? await holdVote(node, task, job, ledger, purse) : undefined
  if (vote) await note('vote.decided', { total: vote.total, faulty: vote.faulty })
  job.signal.throwIfAborted()
  const result = conclude(task.id, done, ledger, vote)
  await note('task.ended', { ok: result.error === undefined, answer: result.answer })
  return result
}

function doParts(node: MeshNode, task: Task, job: Job, parts: Part[], purse: Purse): Promise<Done[]> {
  job.progress(`${parts.length} part${parts.length > 1 ? 's' : ''} for ${job.workers.length} workers`)
  let ended = 0
  const work = inTurn(parts, job.workers.length * partsAtOnce, async (part, index) => {
    const done = await recorded(task, job, part, index, (before) =>
      doPart(node, task, job, { part, index, before }, purse),
    )
    ended += 1
    return done
  })
  return sayWhileWaiting(work, job.sayEveryMs ?? patienceMs, (seconds) =>
    job.progress(`still waiting: ${ended} of ${parts.length} parts done after ${seconds} s`),
  )
}

/**
 * A part reads and never writes twice with another effect, so one that was cut off is done again; and one that was lost with its worker is given to the next, after a pause.
 */
async function recorded(task: Task, job: Job, part: Part, index: number, run: DoesPart): Promise<Done> {
  const retries = { times: attempts - 1, signal: job.signal, worth: isWorthAnother }
  try {
    return {
      part,
      report: await task.step(`part ${index + 1}`, { result: reportSchema, repeatable: true, retries }, run),
    }
  } catch (thrown) {
    const error = ClawmeshError.from(thrown)
    // Cut off, or taken over by another supervisor: what came of this part is not for us to say.
    if (job.signal.aborted || error.code === 'FENCED') throw error
    return { part, error }
  }
}

type DoesPart = (before: number) => Promise<Report>

const isWorthAnother = (failure: ClawmeshError) => failure.retry || wasKilled(failure)

/** `before`: how often it was tried; each time by the next worker. */
async function doPart(
  node: MeshNode,
  task: Task,
  job: Job,
  { part, index, before }: { part: Part; index: number; before: number },
  purse: Purse,
): Promise<Report> {
  const worker = job.workers[(index + before) % job.workers.length] ?? ''
  const timeoutMs = timeLeft(task, partTimeoutMs)
  const taken = await purse.take(`part ${index + 1}`, { ms: timeoutMs })
  let bill: Bill | null = null
  try {
    const entrust = actions(1, taken)
    const call = { timeoutMs, trace: task.id, signal: job.signal, entrust }
    const report = await node.ref(worker).ask(DoPart, { words: part.words, workspace: job.workspace }, call)
    bill = report
    const { outcome } = report
    if (outcome.status !== 'failed' || outcome.signal === null) return report
    throw new ClawmeshError('SANDBOX_FAILED', outcome.reason, { hint: 'Ask again.' })
  } catch (error) {
    const failure = ClawmeshError.from(error)
    if (job.signal.aborted || !isWorthAnother(failure)) throw failure
    const { code, message, hint } = failure
    if (before + 1 === attempts)
      throw new ClawmeshError(code, `It was tried ${attempts} times; the last time: ${message}`, { hint })
    job.progress(`"${part.words}" is given to another worker: ${message}`)
    throw failure
  } finally {
    await taken.settle(bill)
  }
}

/** No call goes on for longer than its task. */
const timeLeft = ({ until }: Task, most: number): number =>
  until === undefined ? most : Math.max(1, Math.min(most, until - Date.now()))

/** Null: this voter cannot vote. */
const choiceSchema = z.object({ choice: ballotSchema.nullable() })

async function holdVote(node: MeshNode, task: Task, job: Job, ledger: Ledger, purse: Purse): Promise<LedgerVote> {
  const files = ledger.files.map(({ file }) => file)
  job.progress(`${job.workers.length} agents vote on ${files.length} files`)
  let voted = 0
  const voting = Promise.all(
    job.workers.map(async (voter, phrasing): Promise<Ballot<LedgerBallot>> => {
      const retries = { times: attempts - 1, signal: job.signal }
      const step = { result: choiceSchema, repeatable: true, retries } as const
      const { choice } = await task.step(`vote of ${voter}`, step, async (before) => ({
        choice: await castVote(node, task, job, { voter, files, phrasing, before }, purse),
      }))
      voted += 1
      return { voter, choice: choice ?? undefined }
    }),
  )
  const ballots = await sayWhileWaiting(voting, job.sayEveryMs ?? patienceMs, (seconds) =>
    job.progress(`still waiting for votes: ${voted} of ${job.workers.length} are there after ${seconds} s`),
  )
  return {
    ballots,
    total: majority(ballots.map(({ voter, choice }) => ({ voter, choice: choice?.totalCents }))),
    faulty: majority(ballots.map(({ voter, choice }) => ({ voter, choice: choice?.faulty }))),
  }
}

interface Invitation {
  voter: string
  files: string[]
  phrasing: number
  /** How often it was asked before. */
  before: number
}

/** Null if this voter cannot vote. Rejects where it may be asked again. */
async function castVote(
  node: MeshNode,
  task: Task,
  job: Job,
  { voter, files, phrasing, before }: Invitation,
  purse: Purse,
): Promise<LedgerBallot | null> {
  const timeoutMs = timeLeft(task, voteTimeoutMs)
  const call = { parts: files.length, ms: timeoutMs, atOnce: Math.min(files.length, filesAtOnce) }
  const taken = await purse.take(`vote of ${voter}`, call)
  let bill: Bill | null = null
  try {
    const entrust = actions(files.length * triesPerFile, taken)
    const options = { timeoutMs, trace: task.id, signal: job.signal, entrust }
    const { tokens, uses, ...ballot } = await node
      .ref(voter)
      .ask(CastVote, { files, workspace: job.workspace, phrasing }, options)
    bill = { tokens, uses }
    return ballot
  } catch (error) {
    const failure = ClawmeshError.from(error)
    job.signal.throwIfAborted()
    job.progress(`${voter} has not voted: ${failure.message}`)
    if (failure.retry && before + 1 < attempts) throw failure
    return null
  } finally {
    await taken.settle(bill)
  }
}

/** The task is done well if something was done, every part came to an end that was decided, not suffered, and a vote bears the ledger out. */
function conclude(task: string, parts: Done[], ledger: Ledger | undefined, vote: LedgerVote | undefined): JobResult {
  const isBorneOut =
    ledger === undefined ||
    (vote?.total.winner === ledger.totalCents && JSON.stringify(vote.faulty.winner) === JSON.stringify(ledger.faulty))
  const answer = ledger ? ledgerAnswer(ledger, isBorneOut) : answerTo(parts)
  const error =
    shortcomingOf(parts) ??
    (isBorneOut
      ? undefined
      : new ClawmeshError('TASK_FAILED', answer, { hint: 'Ask again, or use a more capable model.' }))
  return { task, error, answer, parts, ledger, vote }
}

/** The first error if there was one, then the first tool that failed, then what no tool does, then that nothing was allowed. */
function shortcomingOf(parts: Done[]): ClawmeshError | undefined {
  const suffered = parts.find(({ error }) => error !== undefined)
  if (suffered) return suffered.error
  const outcomes = parts.flatMap(({ report }) => report?.outcome ?? [])
  const failed = outcomes.find(({ status }) => status === 'failed')
  if (failed && 'reason' in failed) {
    return new ClawmeshError('TASK_FAILED', `A tool failed: ${failed.reason}`, {
      hint: 'Check what the request names: files, columns, numbers.',
    })
  }
  const undone = parts.find(({ report }) => report?.call.name === noTool)
  if (undone) {
    return new ClawmeshError('TASK_FAILED', `None of the tools does "${undone.part.words}".`, {
      hint: `Say it in other words, or use a more capable model. The tools are: ${offeredTools.flatMap(({ name }) => (name === noTool ? [] : name)).join(', ')}.`,
    })
  }
  if (outcomes.some(({ status }) => status === 'done')) return undefined
  return new ClawmeshError('DENIED', 'Nothing was done: the policy or a person refused every action.', {
    hint: 'Allow the action when asked, at a terminal, or choose another --policy or --workspace.',
  })
}

/** Of each part; where none has one, what they lack is said once. */
function answerTo(parts: Done[]): string {
  const answers = parts.map(answerOf)
  return (parts.some(({ report }) => report) ? answers : [...new Set(answers)]).join('\n')
}

function ledgerAnswer({ totalCents, entries, faulty }: Ledger, isBorneOut: boolean): string {
  if (!isBorneOut) return 'The agents did not agree on the total and the faulty entries.'
  return `${euros(totalCents)} in ${entries - faulty.length} valid entries; ${faulty.length} of ${entries} entries are faulty.`
}

const mostShown = 40
const mostOfLine = 400
const matchesSchema = z.array(z.object({ line: z.int(), text: z.string() }))

/** What a person asked to see, not only how much there is of it: a text, the lines that were found; of what is long the beginning. */
function shownOf({ summary, text, matches }: Extract<ToolOutcome, { status: 'done' }>['result']): string {
  const found = matchesSchema.safeParse(matches).data ?? []
  const lines =
    typeof text === 'string' ? text.replace(/\n$/, '').split('\n') : found.map((each) => `${each.line}: ${each.text}`)
  if (lines.length === 0 || text === '') return summary
  const shown = lines.slice(0, mostShown).map((line) => line.slice(0, mostOfLine))
  const more = lines.length > mostShown ? [`… ${lines.length - mostShown} more lines`] : []
  return [summary, ...shown, ...more].join('\n')
}

export function answerOf({ report, error }: Done): string {
  if (!report) return `failed: ${error.message}`
  const { outcome } = report
  if (outcome.status === 'done') return shownOf(outcome.result)
  return `${outcome.status} on ${report.node}: ${outcome.reason}`
}
