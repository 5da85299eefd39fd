/** `clawmesh start`: a mesh on this machine that does a job: the person's own request, or the example ledger. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { supervise } from '../../mesh/index.js'
import { installation } from '../../mesh/installation.js'
import { ClawmeshError, outcomes } from '../../policies/errors.js'
import { type Job, type JobResult, runJob, wasRefused } from '../agents/job.js'
import { planRequest } from '../agents/plan.js'
import { offeredTools } from '../agents/tools.js'
import { readConfig } from '../config.js'
import { openDataFolder, openFreeDataFolder } from '../data-folder.js'
import { readPolicy } from '../policy-file.js'
import { type Site, startSite } from '../site.js'
import type { AuditTrail } from '../trail.js'
import { checkApart, checkWorkspace, listFiles } from '../workspace.js'
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
      help: 'the folder that the request is about (default: this folder)',
    },
    policy: {
      type: 'string',
      value: 'FILE|PRESET',
      help: 'what actions may do: ask-first (default), read-only-research, code-workspace, none, or a file',
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
    model: {
      type: 'string',
      value: 'DIR|URL|shipped',
      help: 'a model folder to serve, a model server on this machine (http://… OpenAI-compatible, grpc://HOST:8001/MODEL Triton), or the shipped model (default: a server that is found on this machine, else the shipped model)',
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
  checkApart(workspace, resolve(data ?? config.data))
  const folder = data === undefined ? openFreeDataFolder(config.data) : openDataFolder(resolve(data))

  const stop = new AbortController()
  const onSignal = (signal: NodeJS.Signals) => stop.abort(new ClawmeshError('CANCELLED', `Stopped by ${signal}.`))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  const causeOf = (error: unknown) => (stop.signal.aborted ? stop.signal.reason : (folder.full() ?? error))
  const unwatch = folder.watch((error) => stop.abort(error))
  try {
    const model = text(values, 'model')
    const inference =
      model === undefined
        ? { modelUrl: config.modelUrl, probe: true }
        : isUrl(model)
          ? { modelUrl: model, probe: false }
          : { folder: model === 'shipped' ? undefined : resolve(model), probe: false }
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
    printTrail(results, trail)
  }
  if (failure) return explain(failure)
  if (!trail.verdict.ok) return outcomes.failed
  if (results.every(wasRefused)) return outcomes.denied
  return results.every(({ ok }) => ok) ? 0 : outcomes.failed
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
async function stay(site: Site, job: Omit<Job, 'request'>, results: JobResult[], run: Run): Promise<void> {
  progress('The mesh stays up. Type a request, or `exit`. Ctrl-C drains and ends it.')
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
    const request = typed.trim()
    if (request === 'exit' || request === 'quit') return
    if (request === 'help')
      progress(offeredTools.map(({ name, description }) => `${name}: ${description}`).join('\n  '))
    else if (request !== '') await answer(site, { ...job, request }, results)
  }
}

/** A request that cannot be done is said to be so, and the next one is taken. */
async function answer(site: Site, job: Job, results: JobResult[]): Promise<void> {
  try {
    const result = await runJob(site.node, job)
    results.push(result)
    printAnswer(result)
  } catch (error) {
    job.signal.throwIfAborted()
    explain(error)
  }
}

const isUrl = (text: string) => /^[a-z]+:\/\//i.test(text)

function readPort(given: string | undefined): number {
  if (given === undefined) return 0
  const port = Number(given)
  if (Number.isInteger(port) && port > 0 && port < 65536) return port
  throw new ClawmeshError('USAGE', `"${given}" is no port.`, {
    hint: 'Give a number from 1 to 65535, or leave --port out.',
  })
}
