/**
 * Runs a plan, by a worker of the pool where one is given, else by a launcher of its own. The action and all that it has started are gone
 * when the promise resolves, when the signal aborts, and when this process dies.
 *
 *     const outcome = await launch(plan, { pool, signal, stdin: 'input' })
 *     outcome.exitCode // null where a signal, the deadline or we ended it: see signal, timedOut, killed
 */
import type { Deeds } from './deeds.js'
import type { Egress } from './egress/egress.js'
import { exchange, findWorker } from './exchange.js'
import { encodeRequest } from './frames.js'
import type { Opens } from './opens/opens.js'
import type { LaunchPlan } from './plan.js'
import type { Pool } from './pool.js'
import { encodeSpec } from './spec.js'

export interface ActionOutcome {
  readonly exitCode: number | null
  /** Number of the signal that ended the action itself. */
  readonly signal: number | null
  /** The deadline of the plan ended it. */
  readonly timedOut: boolean
  /** All its processes together had more memory than the plan lets them. */
  readonly overMemory: boolean
  /** It was stopped for a time (by SIGSTOP or its like), or what watches over it was. */
  readonly stopped: boolean
  /** We ended it: the signal was aborted. */
  readonly killed: boolean
  readonly stdout: Buffer
  readonly stderr: Buffer
  /** It printed more than the plan lets it, on both streams together, and was ended there: what is here is cut. */
  readonly truncated: boolean
  readonly wallMs: number
  readonly cpuMs: number
  readonly maxRssKb: number
}

export interface LaunchOptions {
  readonly pool?: Pool | undefined
  readonly signal?: AbortSignal | undefined
  readonly stdin?: string | Buffer | undefined
  /** Without namespaces, as launcher/degraded.c says: it has no network, nothing that it does is held or told, and a plan that takes more is refused. */
  readonly degraded?: boolean | undefined
  /** Decides on its connections, for this one action; without, it has no network, whatever the plan says. */
  readonly egress?: Egress | undefined
  /** Decides on what it opens beyond the plan, for this one action; without, all of that fails. */
  readonly opens?: Opens | undefined
  /** Is told what it executes and writes. */
  readonly deeds?: Deeds | undefined
}

/**
 * @throws ClawmeshError SANDBOX_UNAVAILABLE where there is no launcher, SANDBOX_FAILED where a protection could not be put up (nothing
 * was run then) or the worker was ended from outside, DENIED where a path of the plan is not what it was (nothing was run then), CANCELLED
 * where the signal was aborted before the start
 */
export async function launch(plan: LaunchPlan, options: LaunchOptions = {}): Promise<ActionOutcome> {
  const isWhole = !options.degraded
  const egress = isWhole && plan.network ? options.egress : undefined
  const opens = isWhole && options.opens?.holding ? options.opens : undefined
  const deeds = isWhole ? options.deeds : undefined
  const terms = { network: egress !== undefined, opens, deeds: deeds !== undefined, degraded: !isWhole }
  const request = encodeRequest(encodeSpec(plan, terms), options.stdin)
  const worker = await findWorker(options)
  const streams: Record<'output' | 'errors', Buffer[]> = { output: [], errors: [] }
  const action = exchange(worker, plan, request, {
    take: (kind, bytes) => streams[kind].push(bytes),
    signal: options.signal,
    egress,
    opens,
    deeds,
  })
  return {
    ...(await action.ended),
    stdout: Buffer.concat(streams.output),
    stderr: Buffer.concat(streams.errors),
  }
}
