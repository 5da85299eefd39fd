/**
 * A program that stays in its sandbox and is talked to, until it is stopped or its time is over. As with any action, it and all that it has started are gone
 * when `ended` settles, when the signal aborts, and when this process dies.
 *
 *     const plan = await planResident({ command: 'python3', args: ['server.py'], workspace, profile })
 *     const resident = await startResident(plan, { signal })
 *     resident.input.write('hello\n')
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import { Duplex, type Readable, type Writable } from 'node:stream'
import { covers, inWorkspace } from '../policies/coverage.js'
import { ClawmeshError } from '../policies/errors.js'
import type { Profile } from '../policies/profile.js'
import { launcherPath, launcherProblem } from './launcher.js'
import { librariesOf } from './libraries.js'
import { findPlace, findPlaces } from './place.js'
import { grantedPaths, type LaunchPlan, planLaunch } from './plan.js'
import { readReport } from './report.js'
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

const graceMs = 2000
/** Past the deadline the launcher has this long to end the program and to say so. */
const overdueMs = 5000
const programFolders = ['/usr/local/bin', '/usr/bin', '/bin']

/** Throws DENIED for a program that the profile does not let be executed, and what `findPlaces` and `planLaunch` throw. */
export async function planResident(resident: ResidentProgram): Promise<LaunchPlan> {
  const { args = [], env = {}, code = [], profile } = resident
  const workspace = await realWorkspace(resident.workspace)
  const isNode = resident.command === 'node'
  const { real: program } = await findPlace(isNode ? process.execPath : await findProgram(resident.command))
  const need = { read: [], write: [], program: isNode ? 'tool:node' : program }
  if (!covers(profile, need, workspace).covered)
    throw new ClawmeshError('DENIED', `The policy does not let ${program} be executed.`, {
      hint: 'Grant its folder under read_only, outside of the workspace.',
    })
  const places = await Promise.all(code.map((path) => findPlace(path)))
  const action = {
    program,
    args,
    env,
    read: places.map(({ real }) => real),
    execute: isNode ? await librariesOf(program) : [],
  }
  const writable = profile.write.map((path) => inWorkspace(path, workspace))
  return planLaunch(profile, workspace, action, await findPlaces(grantedPaths(profile, workspace, action), writable))
}

/** Throws SANDBOX_UNAVAILABLE where there is no launcher. */
export async function startResident(plan: LaunchPlan, { signal }: { signal?: AbortSignal } = {}): Promise<Resident> {
  const problem = await launcherProblem()
  if (problem)
    throw new ClawmeshError('SANDBOX_UNAVAILABLE', `No sandbox here: ${problem.reason}.`, { hint: problem.hint })
  signal?.throwIfAborted()
  const spec = encodeSpec(plan)
  const launcher = spawn(launcherPath, [], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'], env: {} })
  const [input, output, errors, control] = launcher.stdio
  if (!input || !output || !errors || !(control instanceof Duplex)) {
    const [cause] = await once(launcher, 'error')
    throw new ClawmeshError('SANDBOX_FAILED', `The sandbox launcher could not be started: ${String(cause)}`, { cause })
  }
  const report = collected(control)
  const ending = { killed: false, late: false }
  let grace: NodeJS.Timeout | undefined
  // Closing our end is the order to stop. A launcher that hangs is killed, and with it the rest.
  const order = () => {
    if (ending.killed) return
    ending.killed = true
    control.end()
    grace = setTimeout(() => launcher.kill('SIGKILL'), graceMs)
  }
  const overdue = setTimeout(() => {
    ending.late = true
    launcher.kill('SIGKILL')
  }, plan.limits.wall_ms + overdueMs)
  signal?.addEventListener('abort', order, { once: true })
  const closed = new Promise<void>((resolve, reject) => {
    launcher.once('error', reject)
    launcher.once('close', () => resolve())
  }).finally(() => {
    clearTimeout(grace)
    clearTimeout(overdue)
    signal?.removeEventListener('abort', order)
  })
  const ended = closed.then(() => endOf(report.join(''), ending))
  // Whoever only stops it need not hear how it ended.
  ended.catch(() => undefined)
  for (const stream of [input, control]) stream.on('error', () => undefined)
  control.write(spec)
  return {
    input,
    output,
    errors,
    ended,
    stop: async () => {
      order()
      // What nobody reads any more must not keep its pipe open.
      output.resume()
      errors.resume()
      await ended.catch(() => undefined)
    },
  }
}

function endOf(report: string, ending: { killed: boolean; late: boolean }): string {
  const { exitCode, signal, timedOut } = readReport(report, ending)
  if (timedOut) return 'the time that the policy gives it was over'
  if (ending.killed) return 'it was stopped'
  return signal === null ? `it ended with status ${exitCode}` : `signal ${signal} ended it`
}

/** A few short lines: the launcher says nothing else there. */
function collected(stream: Readable): string[] {
  const pieces: string[] = []
  stream.setEncoding('utf8').on('data', (piece: string) => pieces.push(piece))
  return pieces
}

async function findProgram(command: string): Promise<string> {
  if (command.startsWith('/')) return command
  for (const path of command.includes('/') ? [] : programFolders.map((folder) => join(folder, command)))
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return path
  throw new ClawmeshError('USAGE', `There is no program "${command}" in ${programFolders.join(', ')}.`, {
    hint: 'Give the absolute path of a program, or "node".',
  })
}
