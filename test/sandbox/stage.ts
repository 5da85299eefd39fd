/** A private place for one test: a workspace, and a target outside it. Gone with the test process; nothing real is near. */
import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, realpath, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseProfile } from '../../policies/profile.js'
import { type ActionOutcome, type LaunchOptions, launch } from '../../sandbox/launch.js'
import { findPlaces } from '../../sandbox/place.js'
import { type Action, grantedPaths, type LaunchPlan, planLaunch } from '../../sandbox/plan.js'
import { Pool } from '../../sandbox/pool.js'

export interface Stage {
  readonly folder: string
  readonly workspace: string
  /** A readable file outside the workspace. */
  readonly target: string
}

process.setMaxListeners(0)

/** How the suites launch: pooled.long.test.ts runs them again with this set. */
const pooled = process.env.CLAWMESH_TEST_POOLED === '1'
export const pool = pooled ? new Pool() : undefined

/** @param above for what must not lie in /tmp, which is another one in each sandbox */
export async function newStage(above = tmpdir()): Promise<Stage> {
  // Folders of clones may have spaces in their names.
  const folder = await realpath(await mkdtemp(join(above, 'clawmesh test ')))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const workspace = join(folder, 'workspace')
  const target = join(folder, 'target')
  await mkdir(workspace)
  await writeFile(target, 'secret')
  return { folder, workspace, target }
}

/** Everything of the machine's programs, and what the test adds. */
export const programs = 'filesystem_policy: { include_workdir: true, read_only: [/usr, /bin, /lib, /lib64] }'

export async function plan(yaml: string, workspace: string, action: Action): Promise<LaunchPlan> {
  const profile = parseProfile(yaml)
  return planLaunch(profile, workspace, action, await findPlaces(grantedPaths(profile, workspace, action)))
}

export async function run(
  yaml: string,
  workspace: string,
  [program = '', ...args]: string[],
  options: LaunchOptions = {},
): Promise<ActionOutcome> {
  return launch(await plan(yaml, workspace, { program, args }), { pool, ...options })
}

export async function shell(yaml: string, workspace: string, script: string, options: LaunchOptions = {}) {
  const outcome = await run(yaml, workspace, ['/bin/sh', '-c', script], options)
  return { ...outcome, out: outcome.stdout.toString(), err: outcome.stderr.toString() }
}
