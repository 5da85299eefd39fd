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
import type { LaunchPlan } from './plan.js'
import { encodeSpec } from './spec.js'

export interface ActionOutcome {
  readonly exitCode: number | null
  /** Number of the signal that ended the action itself. */
  readonly signal: number | null
  /** The deadline of the plan ended it. */
  readonly timedOut: boolean
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

export interface LaunchOptions {
  readonly signal?: AbortSignal | undefined
  readonly stdin?: string | Buffer | undefined
}

/**
 * @throws ClawmeshError SANDBOX_UNAVAILABLE where there is no launcher, SANDBOX_FAILED where a protection could not be put up (nothing
 * was run then), CANCELLED where the signal was aborted before the start
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
    options.signal?.removeEventListener('abort', stop)
  }
  const facts = readReport(Buffer.concat(report).toString(), killed)
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

/** The lines of launcher/report.h. */
function readReport(
  text: string,
  killed: boolean,
): Pick<ActionOutcome, 'exitCode' | 'signal' | 'timedOut' | 'wallMs' | 'cpuMs' | 'maxRssKb'> {
  const lines = new Map(
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => {
        const [word = '', ...rest] = line.split(' ')
        return [word, rest] as const
      }),
  )
  const failed = lines.get('failed')
  if (failed) {
    const [stage = '', ...reason] = failed
    throw new ClawmeshError(
      'SANDBOX_FAILED',
      `The sandbox could not be put up (${stage}: ${reason.join(' ')}), so nothing was run.`,
      {
        hint: 'The log of the node says at its start what this machine lacks.',
        data: { stage, reason: reason.join(' ') },
      },
    )
  }
  const timedOut = lines.has('timeout')
  const stopped = timedOut || killed
  if (!stopped && !lines.has('exit') && !lines.has('signal'))
    throw new ClawmeshError(
      'SANDBOX_FAILED',
      'The sandbox was ended from outside; what the action had done by then is not known.',
      {
        hint: 'See whether the machine ran out of memory, and look at what the action may have changed.',
      },
    )
  const number = (word: string, place: number) => Number(lines.get(word)?.[place] ?? 0)
  return {
    exitCode: !stopped && lines.has('exit') ? number('exit', 0) : null,
    signal: !stopped && lines.has('signal') ? number('signal', 0) : null,
    timedOut,
    wallMs: number('usage', 0) / 1000,
    cpuMs: number('usage', 1) / 1000,
    maxRssKb: number('usage', 2),
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
