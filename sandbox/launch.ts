/**
 * Runs a plan. One launcher process per action; the action and all that it has started are gone when the promise settles, when the
 * signal aborts, and when this process dies.
 *
 *     const outcome = await launch(plan, { signal, stdin: 'input' })
 *     outcome.exitCode // null where a signal, the deadline or we ended it: see signal, timedOut, killed
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Duplex, type Readable, type Writable } from 'node:stream'
import { ClawmeshError } from '../policies/errors.js'
import { launcherPath, launcherProblem } from './launcher.js'
import { removeIfEmpty } from './made.js'
import type { LaunchPlan } from './plan.js'
import { madeFiles, readReport } from './report.js'
import { encodeSpec } from './spec.js'

export interface ActionOutcome {
  readonly exitCode: number | null
  /** Number of the signal that ended the action itself. */
  readonly signal: number | null
  /** The deadline of the plan ended it. */
  readonly timedOut: boolean
  /** It was stopped for a time (by SIGSTOP or its like), or what watches over it was. */
  readonly stopped: boolean
  /** We ended it: the signal was aborted, or there was too much output. */
  readonly killed: boolean
  readonly stdout: Buffer
  readonly stderr: Buffer
  /** Output was cut at the plan's limit. */
  readonly truncated: boolean
  readonly wallMs: number
  readonly cpuMs: number
  readonly maxRssKb: number
}

/** Past the deadline the launcher has this long to end the action and to say so. */
const overdueMs = 5000

export interface LaunchOptions {
  readonly signal?: AbortSignal | undefined
  readonly stdin?: string | Buffer | undefined
}

/**
 * @throws ClawmeshError SANDBOX_UNAVAILABLE where there is no launcher, SANDBOX_FAILED where a protection could not be put up (nothing
 * was run then), DENIED where a path of the plan is not what it was (nothing was run then), CANCELLED where the signal was aborted before
 * the start
 */
export async function launch(plan: LaunchPlan, options: LaunchOptions = {}): Promise<ActionOutcome> {
  const problem = await launcherProblem()
  if (problem)
    throw new ClawmeshError('SANDBOX_UNAVAILABLE', `No sandbox here: ${problem.reason}.`, { hint: problem.hint })
  if (options.signal?.aborted) throw new ClawmeshError('CANCELLED', 'The action was cancelled before it began.')
  const spec = encodeSpec(plan)

  const launcher = spawn(launcherPath, [], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'], env: {} })
  const [stdin, stdout, stderr, control] = launcher.stdio
  if (!stdin || !stdout || !stderr || !(control instanceof Duplex))
    throw await once(launcher, 'error').then(([cause]) => cannotStart(cause))
  const closed = new Promise<void>((settle, fail) => {
    launcher.once('close', () => settle())
    launcher.once('error', (cause) => fail(cannotStart(cause)))
  })

  let killed = false
  let grace: NodeJS.Timeout | undefined
  // Closing our end is the order to stop; the launcher then still tells what was used. One that hangs is killed, and with it the rest.
  const stop = () => {
    if (killed) return
    killed = true
    control.end()
    grace = setTimeout(() => launcher.kill('SIGKILL'), 2000)
  }
  options.signal?.addEventListener('abort', stop, { once: true })
  // The launcher holds the deadline; one that is stopped itself cannot, and is ended with all that it watches.
  let late = false
  const overdue = setTimeout(() => {
    late = true
    launcher.kill('SIGKILL')
  }, plan.limits.wall_ms + overdueMs)

  const output = new Output(plan.outputBytes, stop)
  const outLines = output.collect(stdout)
  const errLines = output.collect(stderr)
  const report = new Output(65_536, stop).collect(control)
  ignoreBrokenPipe(stdin, control)
  control.write(spec)
  stdin.end(options.stdin ?? '')
  try {
    await closed
  } finally {
    clearTimeout(grace)
    clearTimeout(overdue)
    options.signal?.removeEventListener('abort', stop)
  }
  const lines = Buffer.concat(report).toString()
  await Promise.all(madeFiles(lines, plan).map(removeIfEmpty))
  const facts = readReport(lines, { killed, late })
  return {
    ...facts,
    killed,
    stdout: Buffer.concat(outLines),
    stderr: Buffer.concat(errLines),
    truncated: output.truncated,
  }
}

/** Bytes of several streams against one limit. */
class Output {
  truncated = false
  #left: number
  #full: () => void

  constructor(limit: number, full: () => void) {
    this.#left = limit
    this.#full = full
  }

  collect(stream: Readable): Buffer[] {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => {
      if (chunk.length > this.#left) {
        this.truncated = true
        this.#full()
      }
      if (this.#left > 0) chunks.push(chunk.subarray(0, this.#left))
      this.#left = Math.max(0, this.#left - chunk.length)
    })
    return chunks
  }
}

/** The action may end before it has read all; that is its own affair. */
function ignoreBrokenPipe(...streams: Writable[]): void {
  for (const stream of streams) stream.on('error', () => undefined)
}

function cannotStart(cause: unknown): ClawmeshError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new ClawmeshError('SANDBOX_FAILED', `The sandbox launcher could not be started: ${why}`, {
    hint: 'Run `node sandbox/launcher/build.mjs` and try again.',
    cause,
  })
}
