/** `clawmesh debate`: a mesh on this machine whose agents answer one question and come to a decision. */

import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { ModelInfo } from '../../../inference/backend.js'
import { DescribeModel, inferenceName } from '../../../inference/service.js'
import { supervise } from '../../../mesh/index.js'
import type { Tasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError, outcomes } from '../../../policies/errors.js'
import { readPolicy } from '../../../sandbox/preset.js'
import { type DebateResult, debate } from '../../agents/debate/debate.js'
import type { DebaterArgs } from '../../agents/debate/debater.js'
import { cutOffDebate } from '../../agents/debate/kept.js'
import { type DebateSpec, debateRules, type Topology } from '../../agents/debate/rules.js'
import { wasWithdrawn } from '../../agents/job/job.js'
import { readConfig } from '../../config.js'
import { openDataFolder, openFreeDataFolder } from '../../data-folder.js'
import { accountName, dataSubject } from '../../data-subject.js'
import type { Site } from '../../site.js'
import type { AuditTrail } from '../../trail.js'
import { type Command, text, type Values, whole } from '../command.js'
import { explain } from '../failure.js'
import { modelOption, subjectOption } from '../options.js'
import { printable } from '../printable.js'
import { stopOnSignal } from '../stop.js'
import { progress } from '../terminal.js'
import { introduceModels } from './introduce.js'
import { startOwnMesh, workAndDrain } from './own-mesh.js'

export const debateCommand: Command = {
  name: 'debate',
  usage: '"QUESTION" [--agents N] [--rounds N] [--topology T] [--vote V] [options]',
  help: 'Starts a mesh on this machine whose agents answer the question, hear each other and decide. With the shipped model only arithmetic can be asked.',
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
    budget: { type: 'string', value: 'N', help: 'the most tokens that the whole debate may take' },
    json: { type: 'boolean', help: 'print one JSON object as the last line, with the transcript' },
    data: { type: 'string', value: 'DIR', help: 'where the mesh keeps its keys and its audit trail' },
    model: modelOption,
    subject: subjectOption,
  },
  takes: 'question',
  run: startDebate,
}

const mostNodes = 3
const judge = 'judge'
const voterName = (index: number) => `voter-${index + 1}`

async function startDebate(question: string | undefined, values: Values): Promise<number> {
  if (question === undefined || question.trim() === '')
    throw new ClawmeshError('USAGE', 'There is no question.', { hint: 'clawmesh debate "What is 6 times 7?"' })
  const spec = specOf(question.trim(), values)
  debateRules(spec)
  const config = readConfig()
  const policy = await readPolicy('none')
  const data = text(values, 'data')
  const folder = data === undefined ? openFreeDataFolder(config.data) : openDataFolder(resolve(data))
  // Votes touch no file; a sandbox wants a folder all the same.
  const workspace = mkdtempSync(join(tmpdir(), 'clawmesh-debate-'))

  const stop = stopOnSignal()
  const unwatch = folder.watch((error) => stop.abort(error))
  try {
    const names = spec.voters.slice(0, mostNodes).map((_, index) => `worker-${index + 1}`)
    const site = await startOwnMesh({
      config,
      folder,
      port: 0,
      names,
      sandbox: { workspace, policy: policy.text, policyName: policy.name },
      model: text(values, 'model'),
      onFailure: (error) => stop.abort(error),
    })
    const subject = text(values, 'subject') ?? accountName()
    return await runOn(site, { spec, names, subject, signal: stop.signal, json: values['json'] === true })
  } finally {
    unwatch()
    folder.release()
    rmSync(workspace, { recursive: true, force: true })
  }
}

interface Run {
  spec: DebateSpec
  /** Of the nodes that work. */
  names: string[]
  /** Whom it is about. */
  subject: string
  signal: AbortSignal
  json: boolean
}

async function runOn(site: Site, run: Run): Promise<number> {
  const { signal, json } = run
  const { result, trail } = await workAndDrain(site, signal, () => hold(site, run))
  if (json) process.stdout.write(`${JSON.stringify(summaryOf(result, trail))}\n`)
  else print(result, trail)
  if (signal.aborted) return explain(signal.reason)
  return result.outcome.status === 'decided' && trail.verdict.ok ? 0 : outcomes.failed
}

async function hold(site: Site, { spec, names, subject, signal }: Run): Promise<DebateResult> {
  await introduceModels(site.node, progress)
  const model = await site.node.ref(inferenceName('model-1')).ask(DescribeModel, null, { signal })
  const thinks = model.tools?.includes('calculate') ? 'arithmetic' : 'conversation'
  if (thinks === 'arithmetic') sayWhatItCanDo(model, spec)
  const voters = spec.voters.map(({ name }) => ({ name, model: model.name }))
  const cutOff = await cutOffDebate(site.tasks, debateRules({ ...spec, voters }), subject)
  if (cutOff !== undefined) progress(`this was asked before and cut off: debate ${cutOff} goes on`)
  const id = cutOff ?? randomUUID()
  dataSubject(site.node, site.ground.authority.subjects, subject).file(id)
  const argsOf = (phrasing: number): DebaterArgs => ({ model: model.name, thinks, phrasing })
  const children = [...voters.map(({ name }) => name), ...(spec.judge === undefined ? [] : [spec.judge])]
  const supervisor = await supervise(site.node, {
    name: 'supervisor',
    children: children.map((name, index) => ({
      name,
      definition: 'debater',
      args: argsOf(index),
      prefers: names[index % names.length] ?? '',
    })),
    onRestart: (child, node, reason) => progress(`${child} goes on on ${node}: ${reason}`),
    onGiveUp: (_, error) => progress(error.message),
  })
  try {
    return await debate(
      site.node,
      { ...spec, voters },
      {
        signal,
        tasks: site.tasks,
        id,
        subject,
        onEvent: (event) => {
          if (event.type === 'voted') progress(`round ${event.round}: ${event.voter} says ${event.answer}`)
          if (event.type === 'failed') progress(`round ${event.round}: ${event.voter} has no vote: ${event.reason}`)
          if (event.type === 'late') progress(`round ${event.round}: the time is up`)
        },
      },
    )
  } finally {
    await supervisor.stop().catch(() => undefined)
    if (wasWithdrawn(signal)) await withdraw(site.tasks, id)
  }
}

async function withdraw(tasks: Tasks, id: string): Promise<void> {
  try {
    await (await tasks.resume(id)).end({ ok: false, answer: 'It was stopped by a person.' })
  } catch {
    // It had ended by itself, or not begun.
  }
}

/** One that cannot do what is asked says so before anybody waits for it. */
function sayWhatItCanDo({ name }: ModelInfo, { vote }: DebateSpec): void {
  if (vote === 'judge') {
    throw new ClawmeshError('MODEL_UNSUITED', `${name} holds no conversation, so it cannot judge.`, {
      hint: 'Take --vote majority or weighted, or run a model server on this machine.',
    })
  }
  progress(`${name} can vote on arithmetic alone, and the agents of this debate all think with it`)
}

function specOf(question: string, values: Values): DebateSpec {
  const agents = whole(values, 'agents', 1, 64) ?? 5
  const vote = oneOf(values, 'vote', ['majority', 'weighted', 'judge'] as const) ?? 'majority'
  const budget = whole(values, 'budget', 1, 1e9)
  return {
    question,
    voters: Array.from({ length: agents }, (_, index) => ({ name: voterName(index) })),
    rounds: whole(values, 'rounds', 1, 10) ?? 3,
    topology: topologyOf(text(values, 'topology') ?? 'ring'),
    vote,
    ...(vote === 'judge' ? { judge } : {}),
    gate: whole(values, 'gate', 0, 64) ?? 0,
    roundMs: (whole(values, 'seconds', 1, 86_400) ?? 60) * 1000,
    ...(budget === undefined ? {} : { budget }),
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

function summaryOf({ outcome, votes, bill, transcript }: DebateResult, { verdict }: AuditTrail) {
  return {
    ok: outcome.status === 'decided' && verdict.ok,
    ...outcome,
    answer: outcome.answer ?? null,
    roundVotes: votes,
    bill,
    auditEvents: verdict.events,
    auditVerified: verdict.ok,
    transcript,
  }
}

function print({ outcome, votes, bill, transcript }: DebateResult, { verdict }: AuditTrail): void {
  const failures = (round: number) =>
    transcript.events.flatMap((event) =>
      event.type === 'failed' && event.round === round ? [`  ${event.voter}: no vote (${event.reason})`] : [],
    )
  const lines = [
    '',
    ...votes.flatMap((round, index) => [
      `Round ${index + 1}`,
      ...round.map(
        ({ voter, answer, confidence, reason }) =>
          `  ${voter}: ${answer}, ${Math.round(confidence * 100)} % sure${reason === '' ? '' : ` (${reason})`}`,
      ),
      ...failures(index + 1),
    ]),
    '',
    outcome.status === 'decided' ? `${outcome.answer}` : 'Undecided',
    `  by ${outcome.by}: ${outcome.reason}`,
    '',
    'Tokens',
    `  ${bill.tokens} in ${bill.asks} asks, by round ${bill.byRound.join(', ')}${bill.unbilled > 0 ? `; ${bill.unbilled} asks ended without a bill` : ''}`,
    '',
    'Audit',
    `  ${verdict.events} events of ${verdict.producers} nodes: ${verdict.ok ? 'every chain verified' : 'BROKEN'}`,
    ...verdict.faults.map(({ place, what }) => `  ${place}: ${what}`),
  ]
  process.stdout.write(`${printable(lines.join('\n'))}\n`)
}
