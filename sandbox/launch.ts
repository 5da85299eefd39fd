/**
 * Runs a plan, by a worker of the pool where one is given, else by a launcher of its own. The action and all that it has started are gone
 * when the promise resolves, when the signal aborts, and when this process dies.
 *
 *     const outcome = await launch(plan, { pool, signal, stdin: 'input' })
 *     outcome.exitCode // null where a signal, the deadline or we ended it: see signal, timedOut, killed
 */
import type { Socket } from 'node:net'
import { ClawmeshError } from '../policies/errors.js'
import { encodeRequest, FrameReader } from './frames.js'
import { launcherProblem, spawnLauncher } from './launcher.js'
import { removeIfEmpty } from './made.js'
import type { LaunchPlan } from './plan.js'
import type { Pool } from './pool.js'
import { isLast, madeFiles, readReport } from './report.js'
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

/** Past the deadline a worker has this long to end the action and to say so. */
const overdueMs = 5000

/** Told to stop, it has this long. */
const stopMs = 2000

export interface LaunchOptions {
  readonly pool?: Pool | undefined
  readonly signal?: AbortSignal | undefined
  readonly stdin?: string | Buffer | undefined
}

/** The socket of one action, and how to end whatever is at its other end, with the action, if it no longer listens. */
export interface Worker {
  readonly socket: Socket
  kill(): void
}

/**
 * @throws ClawmeshError SANDBOX_UNAVAILABLE where there is no launcher, SANDBOX_FAILED where a protection could not be put up (nothing
 * was run then) or the worker was ended from outside, DENIED where a path of the plan is not what it was (nothing was run then), CANCELLED
 * where the signal was aborted before the start
 */
export async function launch(plan: LaunchPlan, options: LaunchOptions = {}): Promise<ActionOutcome> {
  const problem = await launcherProblem()
  if (problem)
    throw new ClawmeshError('SANDBOX_UNAVAILABLE', `No sandbox here: ${problem.reason}.`, { hint: problem.hint })
  const { signal, pool } = options
  const request = encodeRequest(encodeSpec(plan), options.stdin)
  if (signal?.aborted) throw cancelled()
  const worker = await (pool ? pool.worker() : ownWorker())
  const { socket } = worker
  if (signal?.aborted) {
    worker.kill()
    throw cancelled()
  }

  let killed = false
  let grace: NodeJS.Timeout | undefined
  // The end of our side is the order to stop; the worker then still tells what was used.
  const stop = () => {
    if (killed) return
    killed = true
    socket.end()
    grace = setTimeout(() => worker.kill(), stopMs)
  }
  signal?.addEventListener('abort', stop, { once: true })
  // The worker holds the deadline; one that is stopped itself cannot, and is ended with all that it watches.
  let late = false
  const overdue = setTimeout(() => {
    late = true
    worker.kill()
  }, plan.limits.wall_ms + overdueMs)

  const output = new Output(plan.outputBytes, stop)
  const streams: Record<'output' | 'errors' | 'report', Buffer[]> = { output: [], errors: [], report: [] }
  const frames = new FrameReader()
  const told = new Promise<void>((settle, fail) => {
    socket.on('data', (piece: Buffer) => {
      try {
        for (const { kind, bytes } of frames.read(piece)) {
          streams[kind].push(kind === 'report' ? bytes : output.take(bytes))
          if (kind === 'report' && isLast(String(bytes))) settle()
        }
      } catch (error) {
        fail(error)
      }
    })
    // A worker that was ended resets the socket: what it has not said is missing from the report, and that is told there.
    socket.on('error', () => undefined)
    if (socket.closed) settle()
    else socket.once('close', () => settle())
  })
  socket.write(request)
  try {
    await told
  } finally {
    socket.destroy()
    clearTimeout(grace)
    clearTimeout(overdue)
    signal?.removeEventListener('abort', stop)
  }
  const lines = streams.report.map(String)
  await Promise.all(madeFiles(lines, plan).map(removeIfEmpty))
  const facts = readReport(lines, { killed, late })
  return {
    ...facts,
    killed,
    stdout: Buffer.concat(streams.output),
    stderr: Buffer.concat(streams.errors),
    truncated: output.truncated,
  }
}

async function ownWorker(): Promise<Worker> {
  const { process, control } = await spawnLauncher([])
  return { socket: control, kill: () => process.kill('SIGKILL') }
}

/** Bytes of both streams against one limit. */
class Output {
  truncated = false
  #left: number
  #full: () => void

  constructor(limit: number, full: () => void) {
    this.#left = limit
    this.#full = full
  }

  /** What of it is within the limit. */
  take(bytes: Buffer): Buffer {
    if (bytes.length > this.#left) {
      this.truncated = true
      this.#full()
    }
    const taken = bytes.subarray(0, this.#left)
    this.#left -= taken.length
    return taken
  }
}

const cancelled = () => new ClawmeshError('CANCELLED', 'The action was cancelled before it began.')
