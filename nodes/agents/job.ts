/**
 * The supervisor's side of a task: plan, hand the parts out, take lost ones back, let three agents vote, answer. What it decides is on the audit stream
 * before it acts on it.
 */
import { randomUUID } from 'node:crypto'
import type { MeshNode } from '../../mesh/index.js'
import { ClawmeshError } from '../../policies/errors.js'
import { wasKilled } from './killed.js'
import { addUp, euros, type Ledger, readCheckedFile } from './ledger.js'
import { type Part, planRequest } from './plan.js'
import { sayWhileWaiting } from './progress.js'
import { inTurn } from './turn.js'
import { type Ballot, majority, type Result } from './vote.js'
import { CastVote, type LedgerBallot } from './voter.js'
import { DoPart, type Report } from './worker.js'

export interface Job {
  request: string
  /** Files of the workspace, relative to it. */
  files: () => string[]
  /** Names of the worker actors. */
  workers: string[]
  signal: AbortSignal
  progress: (text: string) => void
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

export async function runJob(node: MeshNode, job: Job): Promise<JobResult> {
  const task = randomUUID()
  const note = (kind: Parameters<MeshNode['note']>[0], facts: Record<string, unknown>) =>
    node.audit.intend({ kind, trace: task, actor: 'supervisor', facts })
  await note('task.started', { request: job.request })
  const plan = planRequest(job.request, job.files)
  await note('task.planned', { ...plan })
  const parts = [...plan.collective, ...plan.single]
  const done = await doParts(node, job, task, parts)
  const checked = done.flatMap(({ part, report }) =>
    report && part.file !== undefined ? (readCheckedFile(part.file, report) ?? []) : [],
  )
  const isLedger = plan.collective.length > 0 && checked.length === plan.collective.length
  const ledger = isLedger ? addUp(checked) : undefined
  const vote = ledger ? await holdVote(node, job, task, ledger) : undefined
  if (vote) await note('vote.decided', { total: vote.total, faulty: vote.faulty })
  const result = conclude(task, done, ledger, vote)
  await note('task.ended', { ok: result.error === undefined, answer: result.answer })
  return result
}

function doParts(node: MeshNode, job: Job, task: string, parts: Part[]): Promise<Done[]> {
  job.progress(`${parts.length} part${parts.length > 1 ? 's' : ''} for ${job.workers.length} workers`)
  let ended = 0
  const work = inTurn(parts, job.workers.length * partsAtOnce, async (part, index) => {
    const done = await doPart(node, job, task, part, index)
    ended += 1
    return done
  })
  return sayWhileWaiting(work, job.sayEveryMs ?? patienceMs, (seconds) =>
    job.progress(
      `still waiting for the model and the tools: ${ended} of ${parts.length} parts done after ${seconds} s`,
    ),
  )
}

/** A part reads and never writes twice with another effect, so one that was lost with its worker is given to the next. */
async function doPart(node: MeshNode, job: Job, task: string, part: Part, index: number): Promise<Done> {
  let last = new ClawmeshError('INTERNAL', 'It was not tried.')
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const worker = job.workers[(index + attempt) % job.workers.length] ?? ''
    try {
      const report = await node
        .ref(worker)
        .ask(DoPart, { words: part.words }, { timeoutMs: partTimeoutMs, trace: task, signal: job.signal })
      const { outcome } = report
      if (outcome.status !== 'failed' || outcome.signal === null) return { part, report }
      last = new ClawmeshError('SANDBOX_FAILED', outcome.reason, { hint: 'Ask again.' })
    } catch (error) {
      last = ClawmeshError.from(error)
      if (job.signal.aborted || !(last.retry || wasKilled(last))) return { part, error: last }
      job.progress(`"${part.words}" is given to another worker: ${last.message}`)
    }
  }
  const { code, message, hint } = last
  return { part, error: new ClawmeshError(code, `It was tried ${attempts} times; the last time: ${message}`, { hint }) }
}

async function holdVote(node: MeshNode, job: Job, task: string, ledger: Ledger): Promise<LedgerVote> {
  const files = ledger.files.map(({ file }) => file)
  job.progress(`${job.workers.length} agents vote on ${files.length} files`)
  let voted = 0
  const voting = Promise.all(
    job.workers.map(async (voter, phrasing): Promise<Ballot<LedgerBallot>> => {
      const choice = await castVote(node, job, task, { voter, files, phrasing })
      voted += 1
      return { voter, choice }
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
}

/** Undefined if this voter cannot vote. */
async function castVote(
  node: MeshNode,
  job: Job,
  task: string,
  { voter, files, phrasing }: Invitation,
): Promise<LedgerBallot | undefined> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    try {
      const call = { timeoutMs: voteTimeoutMs, trace: task, signal: job.signal }
      return await node.ref(voter).ask(CastVote, { files, phrasing }, call)
    } catch (error) {
      const failure = ClawmeshError.from(error)
      job.progress(`${voter} has not voted: ${failure.message}`)
      if (job.signal.aborted || !failure.retry) return undefined
    }
  }
  return undefined
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

/** The first error if there was one, then the first tool that failed, then that nothing was allowed. */
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

export function answerOf({ report, error }: Done): string {
  if (!report) return `failed: ${error.message}`
  const { outcome } = report
  return outcome.status === 'done' ? outcome.result.summary : `${outcome.status}: ${outcome.reason}`
}
