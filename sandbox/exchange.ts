/** What is said with the worker of one action, from the request to the last line of its report. */
import type { Socket } from 'node:net'
import { ClawmeshError } from '../policies/errors.js'
import type { Deeds } from './deeds.js'
import type { Egress } from './egress/egress.js'
import { encodeOrder, type FrameKind, FrameReader, inputChunkBytes } from './frames.js'
import { readImage } from './image.js'
import { launcherProblem, spawnLauncher } from './launcher.js'
import { removeIfEmpty } from './made.js'
import type { Opens } from './opens/opens.js'
import { questionsMs } from './patience.js'
import type { LaunchPlan } from './plan.js'
import type { Pool } from './pool.js'
import { type Facts, isLast, madeFiles, readReport } from './report.js'

/** Past the deadline a worker has this long to end the action and to say so. */
const overdueMs = 5000

/** Told to stop, it has this long. */
const stopMs = 2000

/** The socket of one action, and how to end whatever is at its other end, with the action, if it no longer listens. */
export interface Worker {
  readonly socket: Socket
  kill(): void
}

export interface Exchange {
  /** Orders the end of the action, which `ended` then tells. */
  stop(): void
  /** More of an input that follows; resolves when more may be given. */
  input(bytes: Buffer): Promise<void>
  /**
   * Resolves when nothing of the action is left. Rejects with SANDBOX_FAILED where a protection could not be put up (nothing was run then) or the worker
   * was ended from outside, and with DENIED where a path of the plan is not what it was (nothing was run then).
   */
  readonly ended: Promise<Facts & { readonly killed: boolean }>
}

interface WorkerOptions {
  readonly pool?: Pool | undefined
  readonly signal?: AbortSignal | undefined
  /** Without namespaces, by a launcher of its own. */
  readonly degraded?: boolean | undefined
}

/** Of the pool where one is given, else by a launcher of its own. Throws SANDBOX_UNAVAILABLE where there is none, CANCELLED where the signal came before. */
export async function findWorker({ pool, signal, degraded }: WorkerOptions): Promise<Worker> {
  const problem = await launcherProblem()
  if (problem)
    throw new ClawmeshError('SANDBOX_UNAVAILABLE', `No sandbox here: ${problem.reason}.`, { hint: problem.hint })
  if (signal?.aborted) throw cancelled()
  const worker = await (degraded ? ownWorker(['--degraded']) : pool ? pool.worker() : ownWorker())
  if (!signal?.aborted) return worker
  worker.kill()
  throw cancelled()
}

/** Sends the request; `take` gets what the action prints, as it comes. */
export function exchange(
  { socket, kill }: Worker,
  plan: LaunchPlan,
  request: Buffer,
  {
    take,
    signal,
    egress,
    opens,
    deeds,
  }: {
    take: (kind: 'output' | 'errors', bytes: Buffer) => void
    signal: AbortSignal | undefined
    /** Only of an action whose spec says that it has a network. */
    egress: Egress | undefined
    /** Only of an action whose spec says that its opens are held. */
    opens: Opens | undefined
    /** Only of an action whose spec says that its deeds are told. */
    deeds?: Deeds | undefined
  },
): Exchange {
  const ending = { killed: false, late: false }
  let grace: NodeJS.Timeout | undefined
  // The end of our side is the order to stop; the worker then still tells what was used.
  const stop = () => {
    if (ending.killed) return
    ending.killed = true
    socket.end()
    // What nobody reads any more must not keep it from ending.
    socket.resume()
    grace = setTimeout(kill, stopMs)
  }
  signal?.addEventListener('abort', stop, { once: true })
  // The worker holds the deadline; one that is stopped itself cannot, and is ended with all that it watches. It does not count while a person is asked.
  const overdue = setTimeout(
    () => {
      ending.late = true
      kill()
    },
    plan.limits.wall_ms + overdueMs + (opens ? questionsMs : 0),
  )
  const report: string[] = []
  let fed: () => void = () => undefined
  const heard: Record<FrameKind, (bytes: Buffer) => void> = {
    output: (bytes) => take('output', bytes),
    errors: (bytes) => take('errors', bytes),
    report: (bytes) => report.push(String(bytes)),
    network: (bytes) => egress?.heard(String(bytes)),
    names: (bytes) => egress?.asked(bytes),
    hello: (bytes) => egress?.shown(bytes),
    image: (bytes) => {
      const image = readImage(bytes)
      egress?.began(image)
      opens?.began(image)
      if ('program' in image) deeds?.began(image)
    },
    wrote: (bytes) => deeds?.wrote(String(bytes)),
    open: (bytes) => opens?.heard(bytes),
    fed: () => fed(),
  }
  egress?.begin((order) => socket.writable && socket.write(order))
  opens?.begin((order) => socket.writable && socket.write(order))
  const frames = new FrameReader()
  const told = new Promise<void>((settle, fail) => {
    socket.on('data', (piece: Buffer) => {
      try {
        for (const { kind, bytes } of frames.read(piece)) {
          heard[kind](bytes)
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
  const wholeReport = async () => {
    try {
      await told
    } finally {
      socket.destroy()
      egress?.end()
      opens?.end()
      fed()
      clearTimeout(grace)
      clearTimeout(overdue)
      signal?.removeEventListener('abort', stop)
    }
    await Promise.all(madeFiles(report, plan.mounts).map(removeIfEmpty))
    return { ...readReport(report, ending), killed: ending.killed }
  }
  const write = (bytes: Buffer) => new Promise<void>((done) => socket.write(bytes, () => done()))
  const feed = async (bytes: Buffer) => {
    for (let at = 0; at < bytes.length && !socket.destroyed; at += inputChunkBytes) {
      const passed = new Promise<void>((resolve) => {
        fed = resolve
      })
      await write(encodeOrder('input', bytes.subarray(at, at + inputChunkBytes)))
      await passed
    }
  }
  socket.write(request)
  return { stop, input: egress || opens || deeds ? feed : write, ended: wholeReport() }
}

async function ownWorker(args: readonly string[] = []): Promise<Worker> {
  const { process, control } = await spawnLauncher(args)
  return { socket: control, kill: () => process.kill('SIGKILL') }
}

const cancelled = () => new ClawmeshError('CANCELLED', 'The action was cancelled before it began.')
