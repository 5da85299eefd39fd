/** The compiled launcher: where it is, why there is none, and how it is started. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants, readFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { installation } from '../mesh/installation.js'
import { ClawmeshError } from '../policies/errors.js'

const build = join(installation, 'sandbox', 'launcher', 'build')
export const launcherPath = join(build, 'clawmesh-sandbox')
export const probePath = join(build, 'probe')

export interface Problem {
  readonly reason: string
  readonly hint: string
}

let ready = false

/** undefined where the launcher is there and up to date; build.mjs has written down why if it is not. */
export async function launcherProblem(): Promise<Problem | undefined> {
  if (ready) return undefined
  const text = await readFile(join(build, 'unavailable.json'), 'utf8').catch(() => undefined)
  if (text !== undefined) {
    const { reason, hint } = JSON.parse(text)
    return { reason: String(reason), hint: String(hint) }
  }
  const there = await access(launcherPath, constants.X_OK).then(
    () => true,
    () => false,
  )
  ready = there
  if (there) return undefined
  return { reason: 'the launcher has not been built', hint: 'Run `node sandbox/launcher/build.mjs`.' }
}

export interface Launcher {
  readonly process: ChildProcess
  /** The launcher's control descriptor. */
  readonly control: Socket
}

/** @throws ClawmeshError SANDBOX_FAILED where it cannot be started */
export async function spawnLauncher(
  args: readonly string[],
  { program = launcherPath, cwd = '/' } = {},
): Promise<Launcher> {
  // Its standard streams are none of the action's: it makes those itself.
  const process = spawn(program, args, { cwd, env: {}, stdio: ['ignore', 'ignore', 'inherit', 'pipe'] })
  const control = process.stdio[3]
  if (process.pid !== undefined && control instanceof Socket) return { process, control }
  const [cause]: unknown[] = await once(process, 'error').catch((error: unknown) => [error])
  throw new ClawmeshError('SANDBOX_FAILED', `The sandbox launcher could not be started: ${saying(cause)}`, {
    hint: 'Run `node sandbox/launcher/build.mjs` and try again.',
    cause,
  })
}

const saying = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))
