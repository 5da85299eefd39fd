/** How the outcome of a job is shown: short for people, one object for programs. */
import { answerOf, type Done, type JobResult } from '../../agents/job/job.js'
import { euros } from '../../agents/job/ledger.js'
import type { Servers } from '../../servers.js'
import type { AuditTrail } from '../../trail.js'
import { type Failure, failureOf } from '../failure.js'
import { printable } from '../printable.js'

export interface Summary {
  ok: boolean
  answer: string
  /** What was asked and what was done about it, in the order of the plan. */
  parts: PartSummary[]
  ledger?: {
    entries: number
    totalCents: number
    faulty: { file: string; line: number; receipt: string; reason: string }[]
  }
  nodes: number
  messages: number
  actions: number
  held: number
  /** Of this run. */
  auditEvents: number
  /** Of all runs on this data folder. */
  auditEventsInAll: number
  /** Of all runs. */
  auditVerified: boolean
  broker: string
  wallMs: number
  /** Set where `ok` is false. */
  error?: Failure
}

export interface Outcome {
  /** In the order of the requests. */
  results: JobResult[]
  trail: AuditTrail
  /** What is wrong, if something is. */
  error: unknown
  broker: Pick<Servers, 'version' | 'source'>
  /** When the run began, in milliseconds since 1970, and how long it took. */
  began: number
  wallMs: number
}

/** Counts come from the verified audit trail, not from anybody's memory. */
export function summarise({ results, trail, error, broker, began, wallMs }: Outcome): Summary {
  const { verdict, events } = trail
  const tasks = new Set(results.map(({ task }) => task))
  const count = (kind: string) => events.filter((event) => event.kind === kind && tasks.has(event.trace)).length
  const left = events.filter(({ kind, time }) => kind === 'node.left' && time >= began)
  const ledger = results.find((result) => result.ledger)?.ledger
  return {
    ok: error === undefined,
    answer: results.map(({ answer }) => answer).join('\n'),
    parts: results.flatMap(summariseParts),
    ...(ledger ? { ledger: { ...ledger } } : {}),
    nodes: new Set(left.map(({ producer }) => producer)).size,
    messages: left.reduce((sum, { facts }) => sum + Number(facts['sent'] ?? 0), 0),
    actions: count('action.intended'),
    held: count('action.held'),
    auditEvents: eventsSince(trail, began),
    auditEventsInAll: verdict.events,
    auditVerified: verdict.ok,
    broker: `nats-server ${broker.version} (${broker.source})`,
    wallMs: Math.round(wallMs),
    ...(error === undefined ? {} : { error: failureOf(error) }),
  }
}

const eventsSince = ({ verdict }: AuditTrail, began: number): number =>
  verdict.records.reduce((sum, { time, count }) => (time >= began ? sum + count : sum), 0)

export function printAnswer(result: JobResult): void {
  const lines = result.ledger ? ledgerLines(result) : result.parts.flatMap(partLines)
  process.stdout.write(`\n${printable(lines.join('\n'))}\n`)
}

function ledgerLines({ ledger, vote, parts, answer }: JobResult): string[] {
  if (!ledger) return []
  const width = Math.max(...ledger.files.map(({ file }) => file.length))
  const row = (name: string, entries: number, faulty: number, cents: number) =>
    `  ${name.padEnd(width)} ${String(entries).padStart(8)} ${String(faulty).padStart(7)} ${euros(cents).padStart(16)}`
  return [
    'Ledger',
    `  ${'file'.padEnd(width)}  entries  faulty      valid total`,
    ...ledger.files.map(({ file, entries, faulty, totalCents }) => row(file, entries, faulty.length, totalCents)),
    row('', ledger.entries, ledger.faulty.length, ledger.totalCents),
    '',
    'Faulty entries',
    ...ledger.faulty.map(
      ({ file, line, receipt, reason }) => `  ${file}:${line} ${receipt || '(no receipt)'}: ${reason}`,
    ),
    '',
    'Vote',
    ...(vote?.ballots ?? []).map(({ voter, choice }) =>
      choice ? `  ${voter}: ${euros(choice.totalCents)}, ${choice.faulty.length} faulty` : `  ${voter}: no vote`,
    ),
    `  decided by ${vote?.total.votes ?? 0} of ${vote?.total.voters ?? 0} on the total, ${vote?.faulty.votes ?? 0} of ${vote?.faulty.voters ?? 0} on the faulty entries`,
    ...otherParts(parts),
    '',
    answer,
  ]
}

export interface PartSummary {
  words: string
  tool?: string
  arguments?: Record<string, unknown>
  /** On whose machine, and so in whose folder, it was done. */
  node?: string
  status: string
}

export const summariseParts = ({ parts }: JobResult): PartSummary[] =>
  parts.map(({ part: { words }, report }) => {
    if (!report) return { words, status: 'failed' }
    const { call, outcome, node } = report
    return { words, tool: call.name, arguments: call.arguments, node, status: outcome.status }
  })

/** The words, the call that the model made of them, and what came of it: a misunderstanding must be plain to see. */
function partLines(done: Done): string[] {
  const { part, report } = done
  const call = report ? `${report.call.name} ${JSON.stringify(report.call.arguments)}  on ${report.node}` : 'no call'
  return [
    part.words,
    `  ${call}`,
    ...answerOf(done)
      .split('\n')
      .map((line) => `  ${line}`),
  ]
}

function otherParts(parts: JobResult['parts']): string[] {
  const others = parts.filter(({ part }) => part.file === undefined)
  if (others.length === 0) return []
  return ['', 'Also asked', ...others.flatMap(partLines).map((line) => `  ${line}`)]
}

export function printTrail({ results, trail, began }: Outcome): void {
  const { verdict, events } = trail
  const held = events.filter(
    ({ kind, trace }) => kind === 'approval.answered' && results.some(({ task }) => task === trace),
  )
  const lines = [
    ...(held.length > 0 ? ['', 'Held'] : []),
    ...held.map(
      ({ facts }) => `  ${facts['tool']} ${JSON.stringify(facts['args'])}: ${facts['answer']} (${facts['by']})`,
    ),
    '',
    'Audit',
    `  ${eventsSince(trail, began)} events of this run, ${verdict.events} in all, of ${verdict.producers} nodes: ${verdict.ok ? 'every chain verified' : 'BROKEN'}`,
    ...verdict.faults.map(({ place, what }) => `  ${place}: ${what}`),
  ]
  process.stdout.write(`${printable(lines.join('\n'))}\n`)
}
