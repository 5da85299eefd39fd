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
}

export interface Done {
  part: Part
  /** Undefined: it failed, for the reason given. */
  report: Report | undefined
  reason: string
}

export interface LedgerVote {
  total: Result<number>
  faulty: Result<LedgerBallot['faulty']>
  ballots: Ballot<LedgerBallot>[]
}

export interface JobResult {
  task: string
  ok: boolean
  answer: string
  parts: Done[]
  ledger: Ledger | undefined
  vote: LedgerVote | undefined
}

const partTimeoutMs = 120_000
const voteTimeoutMs = 240_000
const attempts = 5
const partsAtOnce = 2

export async function runJob(node: MeshNode, job: Job): Promise<JobResult> {
  const task = randomUUID()
  const note = (kind: Parameters<MeshNode['note']>[0], facts: Record<string, unknown>) =>
    node.audit.intend({ kind, trace: task, actor: 'supervisor', facts })
  await note('task.started', { request: job.request })
  const plan = planRequest(job.request, job.files)
  await note('task.planned', { ...plan })
  const parts = [...plan.collective, ...plan.single]
  job.progress(`${parts.length} part${parts.length > 1 ? 's' : ''} for ${job.workers.length} workers`)
  const done = await inTurn(parts, job.workers.length * partsAtOnce, (part, index) =>
    doPart(node, job, task, part, index),
  )
  const checked = done.flatMap(({ part, report }) =>
    report && part.file !== undefined ? (readCheckedFile(part.file, report) ?? []) : [],
  )
  const isLedger = plan.collective.length > 0 && checked.length === plan.collective.length
  const ledger = isLedger ? addUp(checked) : undefined
  const vote = ledger ? await holdVote(node, job, task, ledger) : undefined
  if (vote) await note('vote.decided', { total: vote.total, faulty: vote.faulty })
  const result = conclude(task, done, ledger, vote)
  await note('task.ended', { ok: result.ok, answer: result.answer })
  return result
}

/** A part reads and never writes twice with another effect, so one that was lost with its worker is given to the next. */
async function doPart(node: MeshNode, job: Job, task: string, part: Part, index: number): Promise<Done> {
  let reason = ''
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const worker = job.workers[(index + attempt) % job.workers.length] ?? ''
    try {
      const report = await node
        .ref(worker)
        .ask(DoPart, { words: part.words }, { timeoutMs: partTimeoutMs, trace: task, signal: job.signal })
      const { outcome } = report
      if (outcome.status !== 'failed' || outcome.signal === null) return { part, report, reason: '' }
      reason = outcome.reason
    } catch (error) {
      const failure = ClawmeshError.from(error)
      if (job.signal.aborted || !(failure.retry || wasKilled(failure)))
        return { part, report: undefined, reason: failure.message }
      reason = failure.message
      job.progress(`"${part.words}" is given to another worker: ${reason}`)
    }
  }
  return { part, report: undefined, reason: `it was tried ${attempts} times; the last time: ${reason}` }
}

async function holdVote(node: MeshNode, job: Job, task: string, ledger: Ledger): Promise<LedgerVote> {
  const files = ledger.files.map(({ file }) => file)
  job.progress(`${job.workers.length} agents vote on ${files.length} files`)
  const ballots = await Promise.all(
    job.workers.map(async (voter, phrasing): Promise<Ballot<LedgerBallot>> => {
      for (let attempt = 0; attempt < attempts; attempt += 1) {
        try {
          const call = { timeoutMs: voteTimeoutMs, trace: task, signal: job.signal }
          return { voter, choice: await node.ref(voter).ask(CastVote, { files, phrasing }, call) }
        } catch (error) {
          const failure = ClawmeshError.from(error)
          job.progress(`${voter} has not voted: ${failure.message}`)
          if (job.signal.aborted || !failure.retry) break
        }
      }
      return { voter, choice: undefined }
    }),
  )
  return {
    ballots,
    total: majority(ballots.map(({ voter, choice }) => ({ voter, choice: choice?.totalCents }))),
    faulty: majority(ballots.map(({ voter, choice }) => ({ voter, choice: choice?.faulty }))),
  }
}

/** The task is done well if something was done, every part came to an end that was decided, not suffered, and a vote bears the ledger out. */
function conclude(task: string, parts: Done[], ledger: Ledger | undefined, vote: LedgerVote | undefined): JobResult {
  const suffered = parts.filter(({ report }) => report === undefined || report.outcome.status === 'failed')
  const isDone = parts.some(({ report }) => report?.outcome.status === 'done')
  const isBorneOut =
    ledger === undefined ||
    (vote?.total.winner === ledger.totalCents && JSON.stringify(vote.faulty.winner) === JSON.stringify(ledger.faulty))
  const answer = ledger ? ledgerAnswer(ledger, isBorneOut) : parts.map(answerOf).join('\n')
  return { task, ok: isDone && suffered.length === 0 && isBorneOut, answer, parts, ledger, vote }
}

function ledgerAnswer({ totalCents, entries, faulty }: Ledger, isBorneOut: boolean): string {
  if (!isBorneOut) return 'The agents did not agree on the total and the faulty entries.'
  return `${euros(totalCents)} in ${entries - faulty.length} valid entries; ${faulty.length} of ${entries} entries are faulty.`
}

/** Nothing was done, because the policy or a person would not have it. */
export const wasRefused = ({ parts }: JobResult): boolean =>
  parts.every(({ report }) => report?.outcome.status === 'refused' || report?.outcome.status === 'denied')

export function answerOf({ report, reason }: Done): string {
  if (!report) return `failed: ${reason}`
  const { outcome } = report
  return outcome.status === 'done' ? outcome.result.summary : `${outcome.status}: ${outcome.reason}`
}
