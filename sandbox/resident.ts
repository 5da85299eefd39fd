/**
 * A program that stays in its sandbox and is talked to, until it is stopped or its time is over. As with any action, it and all that it has started are gone
 * when `ended` settles, when the signal aborts, and when this process dies.
 *
 *     const plan = await planResident({ command: 'python3', args: ['server.py'], workspace, profile })
 *     const resident = await startResident(plan, { signal })
 *     resident.input.write('hello\n')
 */
import type { Socket } from 'node:net'
import { Readable, Writable } from 'node:stream'
import { covers, inWorkspace } from '../policies/coverage.js'
import { ClawmeshError } from '../policies/errors.js'
import type { Profile } from '../policies/profile.js'
import type { Egress } from './egress/egress.js'
import { exchange, findWorker } from './exchange.js'
import { encodeOpenRequest } from './frames.js'
import type { Opens } from './opens/opens.js'
import { findPlace, findPlaces } from './place.js'
import { grantedPaths, type LaunchPlan, planLaunch } from './plan.js'
import type { Pool } from './pool.js'
import { findProgram } from './program.js'
import type { Facts } from './report.js'
import { realWorkspace } from './run.js'
import { encodeSpec } from './spec.js'

export interface ResidentProgram {
  /** `node` is the one that this process runs on. Any other is a name in the usual folders, or an absolute path, that the profile lets be executed. */
  readonly command: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Files and folders that the program is made of: it may read them, and nothing else of the machine than the profile grants. */
  readonly code?: readonly string[]
  /** The folder that it is started in, and that `.` in the profile means. */
  readonly workspace: string
  readonly profile: Profile
}

export interface Resident {
  readonly input: Writable
  readonly output: Readable
  readonly errors: Readable
  /** How it ended, in words. Rejects with SANDBOX_FAILED or DENIED where it never ran. */
  readonly ended: Promise<string>
  /** Ends it; resolves when nothing of it is left. */
  stop(): Promise<void>
}

/** Throws DENIED for a program that the profile does not let be executed, and what `findPlaces` and `planLaunch` throw. */
export async function planResident(resident: ResidentProgram): Promise<LaunchPlan> {
  const { args = [], env = {}, code = [], profile } = resident
  const workspace = await realWorkspace(resident.workspace)
  const { program, execute, need } = await findProgram(resident.command)
  if (!covers(profile, { read: [], write: [], program: need }, workspace).covered)
    throw new ClawmeshError('DENIED', `The policy does not let ${program} be executed.`, {
      hint: 'Grant its folder under read_only, outside of the workspace.',
    })
  const places = await Promise.all(code.map((path) => findPlace(path)))
  const action = {
    program,
    args,
    env,
    read: places.map(({ real }) => real),
    execute,
  }
  const writable = profile.write.map((path) => inWorkspace(path, workspace))
  return planLaunch(profile, workspace, action, await findPlaces(grantedPaths(profile, workspace, action), writable))
}

/** Throws SANDBOX_UNAVAILABLE where there is no launcher. */
export async function startResident(
  plan: LaunchPlan,
  options: { pool?: Pool; signal?: AbortSignal; egress?: Egress; opens?: Opens } = {},
): Promise<Resident> {
  const worker = await findWorker(options)
  const { socket } = worker
  const streams = { output: readable(socket), errors: readable(socket) }
  const egress = plan.network ? options.egress : undefined
  const opens = options.opens?.holding && options.opens
  // What it says has no end; who listens bounds each message.
  const spec = encodeSpec(plan, { network: egress !== undefined, opens, endless: true })
  const action = exchange(worker, plan, encodeOpenRequest(spec), {
    take: (kind, bytes) => {
      // Who reads slowly slows the program.
      if (!streams[kind].push(bytes)) socket.pause()
    },
    signal: options.signal,
    egress,
    opens,
  })
  const input = new Writable({ write: (bytes, _, done) => void action.input(bytes).then(() => done()) })
  const ended = action.ended.then(howItEnded).finally(() => {
    input.destroy()
    for (const stream of Object.values(streams)) stream.push(null)
  })
  // Whoever only stops it need not hear how it ended.
  ended.catch(() => undefined)
  return {
    input,
    ...streams,
    ended,
    stop: async () => {
      action.stop()
      for (const stream of Object.values(streams)) stream.resume()
      await ended.catch(() => undefined)
    },
  }
}

const readable = (socket: Socket) => new Readable({ read: () => void socket.resume() })

function howItEnded({ exitCode, signal, timedOut, overMemory, killed }: Facts & { killed: boolean }): string {
  if (timedOut) return 'the time that the policy gives it was over'
  if (overMemory) return 'its processes together took more memory than the policy allows'
  if (killed) return 'it was stopped'
  return signal === null ? `it ended with status ${exitCode}` : `signal ${signal} ended it`
}
