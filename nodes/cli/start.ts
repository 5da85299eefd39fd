/** `clawmesh start`: a mesh on this machine that does a job: the person's own request, or the example ledger. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { supervise } from '../../mesh/index.js'
import { installation } from '../../mesh/installation.js'
import { ClawmeshError } from '../../policies/errors.js'
import { type JobResult, runJob } from '../agents/job.js'
import { planRequest } from '../agents/plan.js'
import { readConfig } from '../config.js'
import { openDataFolder, openFreeDataFolder } from '../data-folder.js'
import { readPolicy } from '../policy-file.js'
import { type Site, startSite } from '../site.js'
import type { AuditTrail } from '../trail.js'
import { checkWorkspace, listFiles } from '../workspace.js'
import { type Command, text, type Values } from './command.js'
import { explain, failureOf } from './failure.js'
import { introduceModels } from './introduce.js'
import { printAnswer, printTrail, summarise } from './report.js'
import { approver, progress } from './terminal.js'

const workers = ['worker-1', 'worker-2', 'worker-3']
const drainWithinMs = 20_000
const example = join(installation, 'examples', 'ledger')

export const start: Command = {
  name: 'start',
  usage: '["REQUEST"] [--workspace DIR] [options]',
  help: 'Starts a mesh on this machine (broker, supervisor, three workers with sandboxes, a model) and does the request; without one, the example ledger.',
  options: {
    workspace: {
      type: 'string',
      value: 'DIR',
      help: 'the folder that the request is about; the agents see nothing else',
    },
    policy: { type: 'string', value: 'FILE|PRESET', help: 'what actions may do (default: ask-first)' },
    once: { type: 'boolean', help: 'end after the job; without it the mesh stays until Ctrl-C' },
    json: { type: 'boolean', help: 'print one JSON object as the last line' },
    data: { type: 'string', value: 'DIR', help: 'where the mesh keeps its keys and its audit trail' },
    port: { type: 'string', value: 'N', help: 'the port of the broker (default: any free one)' },
    model: {
      type: 'string',
      value: 'DIR',
      help: 'a model folder to serve (default: a model server on this machine, else the shipped model)',
    },
  },
  takes: 'request',
  run: startMesh,
}

async function startMesh(own: string | undefined, values: Values): Promise<number> {
  const began = performance.now()
  const workspace = resolve(text(values, 'workspace') ?? (own === undefined ? join(example, 'workspace') : '.'))
  const request = own ?? readFileSync(join(example, 'request.txt'), 'utf8').trim()
  checkWorkspace(workspace)
  const files = () => listFiles(workspace)
  planRequest(request, files)
  const policy = await readPolicy(text(values, 'policy') ?? 'ask-first')
  const port = readPort(text(values, 'port'))
  const config = readConfig()
  const data = text(values, 'data')
  const folder = data === undefined ? openFreeDataFolder(config.data) : openDataFolder(resolve(data))

  const stop = new AbortController()
  const onSignal = () => stop.abort(new ClawmeshError('CANCELLED', 'Stopped by the person at the terminal.'))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  const causeOf = (error: unknown) => (stop.signal.aborted ? stop.signal.reason : (folder.full() ?? error))
  const unwatch = folder.watch((error) => stop.abort(error))
  try {
    const model = text(values, 'model')
    const inference =
      model === undefined ? { openAiUrl: config.openAiUrl, probe: true } : { folder: resolve(model), probe: false }
    const sandbox = { workspace, policy: policy.text, policyName: policy.name }
    const site = await startSite({
      config,
      folder,
      port,
      nodes: [
        ...workers.map((name) => ({ name, roles: ['worker', 'sandbox'] as const, plan: { sandbox } })),
        { name: 'model-1', roles: ['inference'] as const, plan: { inference } },
      ],
      progress,
      onFailure: (error) => stop.abort(error),
    }).catch((error: unknown) => {
      throw causeOf(error)
    })
    return await runOn(site, {
      request,
      files,
      stop: stop.signal,
      began,
      stays: !values['once'] && own === undefined,
      json: values['json'] === true,
      causeOf,
    })
  } finally {
    unwatch()
    folder.release()
  }
}

interface Run {
  request: string
  files: () => string[]
  stop: AbortSignal
  began: number
  stays: boolean
  json: boolean
  /** What lies behind an error: the stop that was asked for, a disk that is full, or the error itself. */
  causeOf(error: unknown): unknown
}

async function runOn(site: Site, run: Run): Promise<number> {
  const results: JobResult[] = []
  let failure: unknown
  try {
    await work(site, run, results)
  } catch (error) {
    failure = run.causeOf(error)
  }
  progress('draining')
  const trail = await closeInTime(site).catch((error: unknown) => {
    failure ??= run.causeOf(error)
  })
  if (!trail) throw failure
  if (run.json) {
    const summary = summarise(results[0], trail, site.broker.binary, performance.now() - run.began)
    process.stdout.write(
      `${JSON.stringify(failure ? { ...summary, ok: false, error: failureOf(failure) } : summary)}\n`,
    )
  } else {
    printTrail(results[0], trail)
  }
  if (failure) return explain(failure)
  return results.every(({ ok }) => ok) && trail.verdict.ok ? 0 : 1
}

/** A broker that no longer answers must not hold up the end. What is left when this process ends ends with it. */
async function closeInTime(site: Site): Promise<AuditTrail> {
  const late = new ClawmeshError('BROKER_UNAVAILABLE', `The mesh did not drain within ${drainWithinMs / 1000} s.`, {
    hint: 'Nothing recorded is lost: the next start sends what the audit stream lacks.',
  })
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late), drainWithinMs)
  })
  return Promise.race([site.close(), limit]).finally(() => clearTimeout(timer))
}

async function work(site: Site, run: Run, results: JobResult[]): Promise<void> {
  progress(`${site.node.nodes().length} nodes are up`)
  await introduceModels(site.node, progress)
  await site.node.spawn(approver)
  const supervisor = await supervise(site.node, {
    name: 'supervisor',
    children: workers.map((name) => ({ name, definition: 'worker', prefers: name })),
    onRestart: (child, node, reason) => progress(`${child} goes on on ${node}: ${reason}`),
    onGiveUp: (_, error) => progress(error.message),
  })
  try {
    const job = { files: run.files, workers, signal: run.stop, progress }
    const result = await runJob(site.node, { ...job, request: run.request })
    results.push(result)
    // What came of a job that was cut short is no answer: why it was is what to say.
    run.stop.throwIfAborted()
    if (!run.json) printAnswer(result)
    if (run.stays) await stay(site, job, results, run)
  } catch (error) {
    // Ctrl-C is how a mesh that stays is meant to end, and nothing has failed then.
    if (!(run.stays && error === run.stop.reason && isCancelled(error))) throw error
  } finally {
    await supervisor.stop().catch(() => undefined)
  }
}

const isCancelled = (error: unknown) => error instanceof ClawmeshError && error.code === 'CANCELLED'

/** Takes further requests at a terminal, and otherwise waits for the signal to stop. */
async function stay(
  site: Site,
  job: Omit<Parameters<typeof runJob>[1], 'request'>,
  results: JobResult[],
  run: Run,
): Promise<void> {
  progress('The mesh stays up. Ctrl-C drains and ends it.')
  if (!process.stdin.isTTY) {
    await new Promise<void>((resolve) =>
      run.stop.aborted ? resolve() : run.stop.addEventListener('abort', () => resolve(), { once: true }),
    )
    run.stop.throwIfAborted()
  }
  while (!run.stop.aborted) {
    const terminal = createInterface({ input: process.stdin, output: process.stderr })
    terminal.on('SIGINT', () => process.emit('SIGINT'))
    const typed = await terminal.question('clawmesh> ', { signal: run.stop }).catch(() => undefined)
    terminal.close()
    run.stop.throwIfAborted()
    if (typed === undefined) return
    if (typed.trim() === '') continue
    const result = await runJob(site.node, { ...job, request: typed.trim() })
    results.push(result)
    printAnswer(result)
  }
}

function readPort(given: string | undefined): number {
  if (given === undefined) return 0
  const port = Number(given)
  if (Number.isInteger(port) && port > 0 && port < 65536) return port
  throw new ClawmeshError('USAGE', `"${given}" is no port.`, {
    hint: 'Give a number from 1 to 65535, or leave --port out.',
  })
}
