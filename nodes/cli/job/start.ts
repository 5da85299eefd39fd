/** `clawmesh start`: a mesh on this machine that does a job: the person's own request, or the example ledger. */

import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { supervise } from '../../../mesh/index.js'
import { installation } from '../../../mesh/installation.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Prices } from '../../../policies/prices.js'
import { type PolicyFile, readPolicy } from '../../../sandbox/preset.js'
import { workspaceId } from '../../../sandbox/workspace.js'
import type { Job, JobResult } from '../../agents/job/job.js'
import { doAsked } from '../../agents/job/persist.js'
import { planRequest } from '../../agents/job/plan.js'
import { type Allowed, askedOf } from '../../agents/job/take-up.js'
import { offeredTools } from '../../agents/tools.js'
import { readConfig } from '../../config.js'
import { openDataFolder, openFreeDataFolder } from '../../data-folder.js'
import { accountName, dataSubject } from '../../data-subject.js'
import type { Site } from '../../site.js'
import type { AuditTrail } from '../../trail.js'
import { checkApart, checkWorkspace, listFiles } from '../../workspace.js'
import { answerAtTerminal } from '../approve/inbox.js'
import { headline } from '../approve/words.js'
import { inShell } from '../as-typed.js'
import { type Command, text, type Values } from '../command.js'
import { explain } from '../failure.js'
import { pricesOf } from '../models/prices.js'
import { brokersOption, modelOption, readBrokers, subjectOption } from '../options.js'
import { sayRefusal } from '../policy/refusal-note.js'
import { stopOnSignal } from '../stop.js'
import { isTerminal, progress, question } from '../terminal.js'
import { allowedOptions, readAllowed } from './allowed.js'
import { introduceModels, passNotesOn } from './introduce.js'
import { closeInTime, startOwnMesh } from './own-mesh.js'
import { type Outcome, printAnswer, printTrail, summarise } from './report.js'

const workers = ['worker-1', 'worker-2', 'worker-3']
/** On a full disk nothing more can be recorded: what waits for it waits in vain. */
const drainFullDiskMs = 2000
const example = join(installation, 'examples', 'ledger')

export const start: Command = {
  name: 'start',
  usage: '["REQUEST"] [--workspace DIR] [options]',
  help: 'Starts a mesh on this machine (broker, supervisor, three workers with sandboxes, a model) and does the request; without one, the example ledger.',
  options: {
    workspace: {
      type: 'string',
      value: 'DIR',
      help: 'the folder that the request is about (default: this folder)',
    },
    policy: {
      type: 'string',
      value: 'FILE|PRESET',
      help: 'what actions may do: ask-first (default), another preset of policies/presets, or a file',
    },
    once: {
      type: 'boolean',
      help: 'end after the example job; without it the mesh stays and takes requests. With a request of your own it always ends',
    },
    json: { type: 'boolean', help: 'print one JSON object as the last line' },
    data: {
      type: 'string',
      value: 'DIR',
      help: 'where the mesh keeps its keys and its audit trail (default: ~/.local/share/clawmesh/mesh, or the next free one)',
    },
    port: { type: 'string', value: 'N', help: 'the port of the broker (default: any free one)' },
    brokers: brokersOption,
    model: modelOption,
    ...allowedOptions,
    subject: subjectOption,
  },
  takes: 'request',
  run: startMesh,
}

async function startMesh(own: string | undefined, values: Values): Promise<number> {
  const began = performance.now()
  const startedAt = Date.now()
  const given = text(values, 'workspace')
  const workspace = resolve(given ?? (own === undefined ? join(example, 'workspace') : '.'))
  checkWorkspace(workspace)
  const files = () => listFiles(workspace)
  const stays = !values['once'] && own === undefined
  const request = own ?? (given === undefined ? exampleRequest() : undefined)
  if (request !== undefined) planRequest(request, files)
  else if (!stays || !isTerminal) throw noRequest(given)
  const policy = await readPolicy(text(values, 'policy') ?? 'ask-first')
  const port = readPort(text(values, 'port'))
  const brokers = readBrokers(values)
  const allowed = readAllowed(values)
  const prices = pricesOf(values)
  const config = readConfig()
  const data = text(values, 'data')
  checkApart(workspace, resolve(data ?? config.data))
  const folder = data === undefined ? openFreeDataFolder(config.data) : openDataFolder(resolve(data))
  if (data === undefined && folder.path !== config.data)
    progress(`${config.data} belongs to a mesh that is running: this one has its own keys and trail in ${folder.path}`)

  const stop = stopOnSignal()
  const causeOf = (error: unknown) => (stop.signal.aborted ? stop.signal.reason : (folder.full() ?? error))
  const unwatch = folder.watch((error) => stop.abort(error))
  try {
    const site = await startOwnMesh({
      config,
      folder,
      port,
      brokers,
      names: workers,
      sandbox: { workspace, policy: policy.text, policyName: policy.name },
      model: text(values, 'model'),
      ...(isTerminal ? {} : { unattended: (question) => progress(headline(question)) }),
      onFailure: (error) => stop.abort(error),
      signal: stop.signal,
    }).catch((error: unknown) => {
      throw causeOf(error)
    })
    return await runOn(site, {
      request,
      workspace,
      policy,
      subject: text(values, 'subject') ?? accountName(),
      files,
      allowed,
      prices,
      stop: stop.signal,
      began,
      startedAt,
      stays,
      json: values['json'] === true,
      causeOf,
    })
  } finally {
    unwatch()
    folder.release()
  }
}

interface Run {
  /** Undefined: the person is asked for it. */
  request: string | undefined
  workspace: string
  policy: PolicyFile
  /** Whom its requests are about. */
  subject: string
  files: () => string[]
  /** What each task may use. */
  allowed: Allowed | undefined
  prices: Prices
  stop: AbortSignal
  /** On the clock that measures. */
  began: number
  /** On the clock that dates. */
  startedAt: number
  stays: boolean
  json: boolean
  /** What lies behind an error: the stop that was asked for, a disk that is full, or the error itself. */
  causeOf(error: unknown): unknown
}

async function runOn(site: Site, run: Run): Promise<number> {
  const results: JobResult[] = []
  let failure: unknown
  try {
    await unlessDiskFull(work(site, run, results), run.stop)
  } catch (error) {
    failure = run.causeOf(error)
  }
  progress('draining')
  const trail = await closeInTime(site, isDiskFull(failure) ? drainFullDiskMs : undefined).catch((error: unknown) => {
    failure ??= run.causeOf(error)
  })
  if (!trail) throw failure
  // Of a mesh that stays each request has had its answer.
  const unsaid = run.stays ? undefined : results.find((result) => result.error)?.error
  const error = failure ?? shortcomingOf(trail) ?? unsaid
  const { began, startedAt } = run
  const wallMs = performance.now() - began
  const outcome: Outcome = { results, trail, error, broker: site.nats, began: startedAt, wallMs }
  if (run.json) process.stdout.write(`${JSON.stringify(summarise(outcome))}\n`)
  else printTrail(outcome)
  return error === undefined ? 0 : explain(error)
}

const isDiskFull = (error: unknown) => error instanceof ClawmeshError && error.code === 'DISK_FULL'

/** Work that needs the disk waits for it to take what it is given; nobody waits for that work. */
async function unlessDiskFull(work: Promise<void>, stop: AbortSignal): Promise<void> {
  const full = new Promise<never>((_, reject) => {
    const rejectIfFull = () => isDiskFull(stop.reason) && reject(stop.reason)
    stop.addEventListener('abort', rejectIfFull, { once: true })
    rejectIfFull()
  })
  await Promise.race([work, full])
}

function shortcomingOf({ verdict }: AuditTrail): ClawmeshError | undefined {
  const [first] = verdict.faults
  if (verdict.ok) return undefined
  return new ClawmeshError('AUDIT_BROKEN', `The audit trail is broken: ${first?.place}: ${first?.what}.`, {
    hint: "`clawmesh audit verify` names every place. The nodes' own chain files still hold what only the broker lost: restore its store from a backup, or keep this folder as it is and go on in another one with --data.",
  })
}

async function work(site: Site, run: Run, results: JobResult[]): Promise<void> {
  progress(`${site.node.nodes().length} nodes are up`)
  passNotesOn(site.node, progress)
  await sayRefusal(run.policy, run.workspace)
  await introduceModels(site.node, progress)
  const answering = isTerminal ? answerAtTerminal(site.node) : undefined
  const supervisor = await supervise(site.node, {
    name: 'supervisor',
    children: workers.map((name) => ({ name, definition: 'worker', prefers: name })),
    onRestart: (child, node, reason) => progress(`${child} goes on on ${node}: ${reason}`),
    onGiveUp: (_, error) => progress(error.message),
  })
  try {
    const { files, allowed, prices } = run
    const workspace = workspaceId({ folder: run.workspace })
    const job = { workspace, files, workers, signal: run.stop, progress, allowed, prices }
    if (run.request !== undefined) {
      const { request } = run
      const result = await doJob(site, run, { ...job, request })
      results.push(result)
      // What came of a job that was cut short is no answer: why it was is what to say.
      run.stop.throwIfAborted()
      if (!run.json) printAnswer(result)
      if (run.stays && result.error) explain(result.error)
    }
    if (run.stays) await stay(site, job, results, run)
  } catch (error) {
    // Ctrl-C is how a mesh that stays is meant to end, and nothing has failed then.
    if (!(run.stays && error === run.stop.reason && isCancelled(error))) throw error
  } finally {
    answering?.end()
    await supervisor.stop().catch(() => undefined)
  }
}

function doJob({ node, tasks, ground }: Site, run: Run, job: Job): Promise<JobResult> {
  const subject = dataSubject(node, ground.authority.subjects, run.subject)
  const asked = {
    ...askedOf(job.request, { folder: run.workspace }, run.files, run.policy.text),
    subject: subject.name,
  }
  return doAsked(node, tasks, asked, job, (task) => subject.file(task.id))
}

const isCancelled = (error: unknown) => error instanceof ClawmeshError && error.code === 'CANCELLED'

/** Takes further requests at a terminal, and otherwise waits for the signal to stop. */
async function stay(site: Site, job: Omit<Job, 'request'>, results: JobResult[], run: Run): Promise<void> {
  progress('The mesh stays up. Type a request, or `exit`. Ctrl-C drains and ends it.')
  if (!process.stdin.isTTY) {
    await new Promise<void>((resolve) =>
      run.stop.aborted ? resolve() : run.stop.addEventListener('abort', () => resolve(), { once: true }),
    )
    run.stop.throwIfAborted()
  }
  while (!run.stop.aborted) {
    const typed = await question('clawmesh> ', run.stop)
    run.stop.throwIfAborted()
    if (typed === undefined) return
    const request = typed.trim()
    if (request === 'exit' || request === 'quit') return
    if (/^(y|yes|n|no)$/i.test(request))
      progress('nothing is held now: an action that is not answered in time is refused')
    else if (request === 'help')
      progress(offeredTools.map(({ name, description }) => `${name}: ${description}`).join('\n  '))
    else if (request !== '') await answer(site, { ...job, request }, run, results)
  }
}

/** A request that cannot be done is said to be so, and the next one is taken. */
async function answer(site: Site, job: Job, run: Run, results: JobResult[]): Promise<void> {
  try {
    const result = await doJob(site, run, job)
    results.push(result)
    printAnswer(result)
    if (result.error) explain(result.error)
  } catch (error) {
    job.signal.throwIfAborted()
    explain(error)
  }
}

const exampleRequest = () => readFileSync(join(example, 'request.txt'), 'utf8').trim()

function noRequest(workspace: string | undefined): ClawmeshError {
  return new ClawmeshError('USAGE', `Nothing is asked of the workspace ${workspace}.`, {
    hint: `Say what to do, for example: \`npm start -- "how many lines has notes.txt" --workspace ${inShell(workspace ?? '.')}\`. The example job has a workspace of its own.`,
  })
}

function readPort(given: string | undefined): number {
  if (given === undefined) return 0
  const port = Number(given)
  if (Number.isInteger(port) && port > 0 && port < 65536) return port
  throw new ClawmeshError('USAGE', `"${given}" is no port.`, {
    hint: 'Give a number from 1 to 65535, or leave --port out.',
  })
}
