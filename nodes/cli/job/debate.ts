/** `clawmesh debate`: agents that answer one question and come to a decision, on the mesh that runs here or on one of the command's own. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClawmeshError, outcomes } from '../../../policies/errors.js'
import { readPolicy } from '../../../sandbox/preset.js'
import type { DebateResult } from '../../agents/debate/debate.js'
import { doDebate, spokenName } from '../../agents/debate/request.js'
import { type DebateSpec, debateRules, type Topology } from '../../agents/debate/rules.js'
import type { Allowed } from '../../agents/job/take-up.js'
import { accountName, dataSubject } from '../../data-subject.js'
import type { AuditTrail } from '../../trail.js'
import { type Command, text, type Values, whole } from '../command.js'
import { explain } from '../failure.js'
import { pricesOf } from '../models/prices.js'
import { ownModelOption, subjectOption } from '../options.js'
import { printable } from '../printable.js'
import { stopOnSignal } from '../stop.js'
import { progress } from '../terminal.js'
import { allowedOptions, readAllowed } from './allowed.js'
import { onStage } from './stage.js'

export const debateCommand: Command = {
  name: 'debate',
  usage:
    '"QUESTION" [--agents N] [--rounds N] [--topology T] [--vote V] [--tokens N] [--cost AMOUNT] [--time TIME] [options]',
  help: 'Agents answer the question, hear each other and decide: on the mesh that runs here, with all its machines and models, or where none runs on one that ends with the debate. With the shipped model only arithmetic can be asked.',
  options: {
    agents: { type: 'string', value: 'N', help: 'how many vote (default: 5)' },
    rounds: { type: 'string', value: 'N', help: 'rounds at most; the first is of independent votes (default: 3)' },
    topology: { type: 'string', value: 'T', help: 'who hears whom: all, ring (default), star, or sparse:N' },
    vote: { type: 'string', value: 'V', help: 'majority (default), weighted by confidence, or judge' },
    gate: {
      type: 'string',
      value: 'N',
      help: 'ask so many first, and nobody else if they agree; more than half are as right as a majority (default: 0, ask all)',
    },
    seconds: { type: 'string', value: 'N', help: 'how long a round may take (default: 60)' },
    ...allowedOptions,
    budget: { type: 'string', value: 'N', help: 'the same as --tokens' },
    json: { type: 'boolean', help: 'print one JSON object as the last line, with the transcript' },
    data: { type: 'string', value: 'DIR', help: 'the data folder of the mesh: of one that runs, or of its own' },
    model: ownModelOption,
    subject: subjectOption,
  },
  takes: 'question',
  run: startDebate,
}

const mostNodes = 3

async function startDebate(question: string | undefined, values: Values): Promise<number> {
  if (question === undefined || question.trim() === '')
    throw new ClawmeshError('USAGE', 'There is no question.', {
      hint: 'For example: `clawmesh debate "What is 6 times 7?"`',
    })
  const agents = whole(values, 'agents', 1, 64) ?? 5
  const { tokens, allowed } = limitsOf(values)
  const rules = { ...rulesOf(question.trim(), values), ...(tokens === undefined ? {} : { budget: tokens }) }
  const prices = pricesOf(values)
  const voters = Array.from({ length: agents }, (_, index) => ({ name: `voter-${index + 1}` }))
  debateRules({ ...rules, voters, ...(rules.vote === 'judge' ? { judge: 'judge' } : {}) })
  const policy = await readPolicy('none')
  // Votes touch no file; a sandbox wants a folder all the same.
  const workspace = mkdtempSync(join(tmpdir(), 'clawmesh-debate-'))
  const stop = stopOnSignal()
  const { signal } = stop
  try {
    const { result, trail } = await onStage(
      {
        data: text(values, 'data'),
        model: text(values, 'model'),
        hosting: 'debater',
        own: () => ({
          names: voters.slice(0, mostNodes).map((_, index) => `worker-${index + 1}`),
          sandbox: { workspace, policy: policy.text, policyName: policy.name },
        }),
        stop,
      },
      ({ node, tasks, subjects, places }) => {
        const subject = dataSubject(node, subjects, text(values, 'subject') ?? accountName())
        return doDebate(node, tasks, { rules, agents, places, allowed, prices, subject, signal, progress })
      },
    )
    if (values['json']) process.stdout.write(`${JSON.stringify(summaryOf(result, trail))}\n`)
    else print(result, trail)
    if (signal.aborted) return explain(signal.reason)
    return result.outcome.status === 'decided' && isWhole(trail) ? 0 : outcomes.failed
  } finally {
    rmSync(workspace, { recursive: true, force: true })
  }
}

/** The trail of a mesh that goes on is for `clawmesh audit verify`. */
const isWhole = (trail: AuditTrail | undefined) => trail?.verdict.ok ?? true

/** Its tokens are a rule of a debate, which comes to a decision by what was voted when they run out; money and time are its task's. */
function limitsOf(values: Values): { tokens: number | undefined; allowed: Allowed } {
  const old = whole(values, 'budget', 1, 1e9)
  const { budget: { tokens, ...budget } = {}, ms } = readAllowed(values) ?? {}
  if (old !== undefined && tokens !== undefined)
    throw new ClawmeshError('USAGE', '--tokens and --budget are the same.', { hint: 'Leave --budget out.' })
  return { tokens: tokens ?? old, allowed: { ...(Object.keys(budget).length > 0 ? { budget } : {}), ms } }
}

function rulesOf(question: string, values: Values): Omit<DebateSpec, 'voters' | 'judge'> {
  return {
    question,
    rounds: whole(values, 'rounds', 1, 10) ?? 3,
    topology: topologyOf(text(values, 'topology') ?? 'ring'),
    vote: oneOf(values, 'vote', ['majority', 'weighted', 'judge'] as const) ?? 'majority',
    gate: whole(values, 'gate', 0, 64) ?? 0,
    roundMs: (whole(values, 'seconds', 1, 86_400) ?? 60) * 1000,
  }
}

function topologyOf(given: string): Topology {
  const sparse = /^sparse:(\d{1,3})$/.exec(given)
  if (sparse) return { sparse: Number(sparse[1]) }
  if (given === 'all' || given === 'ring' || given === 'star') return given
  throw new ClawmeshError('USAGE', `"${given}" is no topology.`, { hint: 'Take all, ring, star or sparse:N.' })
}

function oneOf<T extends string>(values: Values, name: string, choices: readonly T[]): T | undefined {
  const given = text(values, name)
  const found = choices.find((choice) => choice === given)
  if (given === undefined || found) return found
  throw new ClawmeshError('USAGE', `--${name} cannot be "${given}".`, { hint: `Take ${choices.join(', ')}.` })
}

function summaryOf({ outcome, votes, bill, transcript }: DebateResult, trail: AuditTrail | undefined) {
  return {
    ok: outcome.status === 'decided' && isWhole(trail),
    ...outcome,
    answer: outcome.answer ?? null,
    roundVotes: votes,
    bill,
    ...(trail ? { auditEvents: trail.verdict.events, auditVerified: trail.verdict.ok } : {}),
    transcript,
  }
}

function print({ outcome, votes, bill, transcript }: DebateResult, trail: AuditTrail | undefined): void {
  const failures = (round: number) =>
    transcript.events.flatMap((event) =>
      event.type === 'failed' && event.round === round
        ? [`  ${spokenName(event.voter)}: no vote (${event.reason})`]
        : [],
    )
  const lines = [
    '',
    ...votes.flatMap((round, index) => [
      `Round ${index + 1}`,
      ...round.map(
        ({ voter, answer, confidence, reason }) =>
          `  ${spokenName(voter)}: ${answer}, ${Math.round(confidence * 100)} % sure${reason === '' ? '' : ` (${reason})`}`,
      ),
      ...failures(index + 1),
    ]),
    '',
    outcome.status === 'decided' ? `${outcome.answer}` : 'Undecided',
    `  by ${outcome.by}: ${outcome.reason}`,
    '',
    'Tokens',
    `  ${bill.tokens} in ${bill.asks} asks, by round ${bill.byRound.join(', ')}${bill.unbilled > 0 ? `; ${bill.unbilled} asks ended without a bill` : ''}`,
    ...(trail ? ['', 'Audit', ...auditLines(trail)] : []),
  ]
  process.stdout.write(`${printable(lines.join('\n'))}\n`)
}

const auditLines = ({ verdict }: AuditTrail) => [
  `  ${verdict.events} events of ${verdict.producers} nodes: ${verdict.ok ? 'every chain verified' : 'BROKEN'}`,
  ...verdict.faults.map(({ place, what }) => `  ${place}: ${what}`),
]
