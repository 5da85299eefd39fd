/** `clawmesh start`: a mesh on this machine that does a job: the person's own request, or the example ledger. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { supervise } from '../../mesh/index.js'
import { installation } from '../../mesh/installation.js'
import { ClawmeshError } from '../../policies/errors.js'
import { type JobResult, runJob } from '../agents/job.js'
import { readConfig } from '../config.js'
import { openDataFolder, openFreeDataFolder } from '../data-folder.js'
import { readPolicy } from '../policy-file.js'
import { type Site, startSite } from '../site.js'
import { listFiles } from '../workspace.js'
import { type Command, text, type Values } from './command.js'
import { printAnswer, printTrail, summarise } from './report.js'
import { approver, progress } from './terminal.js'

const workers = ['worker-1', 'worker-2', 'worker-3']
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
  run: startMesh,
}

async function startMesh(requests: string[], values: Values): Promise<number> {
  const began = performance.now()
  if (requests.length > 1) {
    throw new ClawmeshError('USAGE', 'There is more than one request.', { hint: 'Put the request in quotation marks.' })
  }
  const [own] = requests
  const workspace = resolve(text(values, 'workspace') ?? (own === undefined ? join(example, 'workspace') : '.'))
  const request = own ?? readFileSync(join(example, 'request.txt'), 'utf8').trim()
  const files = listFiles(workspace)
  const policy = await readPolicy(text(values, 'policy') ?? 'ask-first')
  const port = readPort(text(values, 'port'))
  const config = readConfig()
  const data = text(values, 'data')
  const folder = data === undefined ? openFreeDataFolder(config.data) : openDataFolder(resolve(data))

  const stop = new AbortController()
  const onSignal = () => stop.abort(new ClawmeshError('CANCELLED', 'Stopped by the person at the terminal.'))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
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
    })
    return await runOn(site, {
      request,
      files,
      stop: stop.signal,
      began,
      stays: !values['once'] && own === undefined,
      json: values['json'] === true,
    })
  } finally {
    folder.release()
  }
}

interface Run {
  request: string
  files: string[]
  stop: AbortSignal
  began: number
  stays: boolean
  json: boolean
}

async function runOn(site: Site, run: Run): Promise<number> {
  const results: JobResult[] = []
  let failure: unknown
  try {
    progress(`${site.node.nodes().length} nodes are up`)
    await site.node.spawn(approver)
    const children = workers.map((name) => ({ name, definition: 'worker', prefers: name }))
    const supervisor = await supervise(site.node, {
      name: 'supervisor',
      children,
      onRestart: (child, node, reason) => progress(`${child} goes on on ${node}: ${reason}`),
      onGiveUp: (_, error) => progress(error.message),
    })
    const job = { files: run.files, workers, signal: run.stop, progress }
    const result = await runJob(site.node, { ...job, request: run.request })
    results.push(result)
    if (!run.json) printAnswer(result)
    if (run.stays) await stay(site, job, results, run)
    await supervisor.stop()
  } catch (error) {
    failure = error
  }
  progress('draining')
  const trail = await site.close()
  if (run.json) {
    const summary = summarise(results[0], trail, site.broker.binary, performance.now() - run.began)
    process.stdout.write(`${JSON.stringify(summary)}\n`)
  } else {
    printTrail(results[0], trail)
  }
  if (run.stop.aborted && !(failure instanceof ClawmeshError && failure.code !== 'CANCELLED') && run.stays) return 0
  if (failure) throw failure
  return results.every(({ ok }) => ok) && trail.verdict.ok ? 0 : 1
}

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
    return
  }
  while (!run.stop.aborted) {
    const terminal = createInterface({ input: process.stdin, output: process.stderr })
    terminal.on('SIGINT', () => process.emit('SIGINT'))
    const typed = await terminal.question('clawmesh> ', { signal: run.stop }).catch(() => undefined)
    terminal.close()
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
