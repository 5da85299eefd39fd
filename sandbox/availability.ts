/**
 * Can this machine hold an action? Found out by doing it: the probe runs in a real sandbox with nothing granted and tries to break each
 * layer, once by a launcher of its own and once by a pool's worker. A node that does not pass does not offer the sandbox role, and says why.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { ClawmeshError } from '../policies/errors.js'
import { parseProfile } from '../policies/profile.js'
import { Egress } from './egress/egress.js'
import { type Controller, closeGroups, controllers, groupsInWords, openGroups } from './groups.js'
import { launch } from './launch.js'
import { launcherPath, launcherProblem, type Problem, probePath } from './launcher.js'
import { findPlaces } from './place.js'
import { grantedPaths, planLaunch } from './plan.js'
import { Pool } from './pool.js'
import { runTool } from './run.js'
import { toolRuntime } from './tools/runtime.js'

export type Availability =
  | {
      readonly available: true
      /** Of Landlock. */
      readonly abi: number
      /** Whether connections of an action can be decided on; where they cannot it has none. */
      readonly connects: boolean
      /** Its actions have no namespaces: a person has named that. */
      readonly degraded: boolean
      /** What holds less than it could on this machine, in words. */
      readonly notes: readonly string[]
      /** Of what an action takes as a whole, what the kernel itself counts. */
      readonly grouped: readonly Controller[]
      /** The same in words, with what stands in for the rest. */
      readonly groups: string
    }
  | ({ readonly available: false } & Problem)

/** @param mayDegrade a person of this machine has named the mode without namespaces, for where these cannot be had */
export async function sandboxAvailability({ mayDegrade = false } = {}): Promise<Availability> {
  const found = await wholeAvailability()
  if (found.available || !mayDegrade) return found
  const broken = await probe({ degraded: true }).catch((error: unknown) => [ClawmeshError.from(error).message])
  if (broken.length === 0) broken.push(...(await probeTool()))
  if (broken.length > 0) {
    const closed = await closedToOthers()
    const why = closed ? `${closed} is closed to the id that an action of root has` : broken.join(', ')
    const hint = closed ? opened : found.hint
    return { available: false, reason: `${found.reason}; nor without namespaces: ${why}`, hint }
  }
  const notes = [
    `the sandbox is degraded, as CLAWMESH_SANDBOX says: each action is one process, without namespaces, a network or a /tmp of its own, and nobody is asked for files while it runs (${found.reason.replace(/\.$/, '')})`,
  ]
  const groups = 'no control group holds an action: it is one process, and has its limits'
  return { available: true, degraded: true, abi: await landlockAbi(), connects: false, notes, grouped: [], groups }
}

const opened =
  'Put Node and clawmesh where everybody may enter (below /usr/local or /opt, say), start this as the user whose folder that is, or allow user namespaces here.'

/** Without namespaces a tool of ours is what it is on the disk, which an id of its own may not be let to. */
async function probeTool(): Promise<string[]> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'clawmesh-probe-')))
  const call = { tool: 'calculate', args: { expression: '1 + 1' }, workspace: folder, profile: parseProfile('') }
  try {
    const outcome = await runTool({ ...call, degraded: true })
    return outcome.status === 'done' ? [] : [outcome.reason]
  } catch (error) {
    return [ClawmeshError.from(error).message]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Where root runs this: the first folder on the way to what an action is made of that others may not enter. */
async function closedToOthers(): Promise<string | undefined> {
  if (process.geteuid?.() !== 0) return undefined
  const { program, execute = [], read = [] } = await toolRuntime({ needsSqlite: false })
  const mayEnter = 0o001
  for (const path of [program, ...execute, ...read, probePath])
    for (let folder = dirname(path), below = ''; folder !== below; [folder, below] = [dirname(folder), folder])
      if (((await stat(folder)).mode & mayEnter) === 0) return folder
  return undefined
}

async function wholeAvailability(): Promise<Availability> {
  const problem = await launcherProblem()
  if (problem) return { available: false, ...problem }
  // Memory of an action as a whole is looked at by way of it.
  if (!existsSync(`/proc/self/task/${process.pid}/children`))
    return {
      available: false,
      reason: 'this kernel does not tell the children of a process',
      hint: 'Use a kernel with CONFIG_PROC_CHILDREN, as those of the usual distributions have.',
    }
  const abi = await landlockAbi()
  try {
    const broken = await probe()
    if (broken.length > 0) return { available: false, ...gaveWay(broken) }
    const brokenPooled = await probePooled()
    if (brokenPooled.length > 0) return { available: false, ...gaveWay(brokenPooled, ' of a pool') }
    const notes =
      abi < 6
        ? [`Landlock ABI ${abi} has no signal and socket scopes; the process and network namespaces stand alone`]
        : []
    const silent = await probeNetwork()
    if (silent.length > 0)
      notes.push(`connections cannot be decided here (${silent.join(', ')}), so none is made, whatever a policy says`)
    const groups = await openGroups()
    await closeGroups(groups)
    const grouped = controllers.filter((each) => groups[each] !== undefined)
    const said = { notes, grouped, groups: groupsInWords(groups) }
    return { available: true, degraded: false, abi, connects: silent.length === 0, ...said }
  } catch (error) {
    const { message } = ClawmeshError.from(error)
    return { available: false, reason: message, hint: await hintFor(message) }
  }
}

const gaveWay = (layers: readonly string[], whose = ''): Problem => ({
  reason: `the sandbox${whose} did not hold: ${layers.join(', ')}`,
  hint: 'Report this with the output of `uname -a`; nothing is run here.',
})

/** By a worker that was prepared before it was asked for, where there is time to prepare one, and by one that was not. */
async function probePooled(): Promise<string[]> {
  const pool = new Pool({ idle: 1 })
  try {
    return [...(await probe({ pool })), ...(await probe({ pool }))]
  } finally {
    pool.close()
  }
}

/** What of a network does not do what it should; nothing is connected. */
async function probeNetwork(): Promise<string[]> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'clawmesh-probe-')))
  try {
    const action = { program: await realpath(probePath), args: ['network'] }
    const profile = parseProfile('ask: [{ connect: "*" }]\nlimits: { wall_ms: 5000, memory_mb: 64, processes: 4 }')
    const own = { program: action.program, names: [] }
    const egress = new Egress({ profile, workspace: folder, own, resolve: async () => [] })
    const places = await findPlaces(grantedPaths(profile, folder, action))
    const { exitCode, stdout } = await launch(planLaunch(profile, folder, action, places), { egress })
    return exitCode === 0 ? [] : stdout.toString().trim().split('\n')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The names of the layers that gave way. */
async function probe({ pool, degraded = false }: { pool?: Pool; degraded?: boolean } = {}): Promise<string[]> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'clawmesh-probe-')))
  const secret = join(folder, 'secret')
  try {
    await writeFile(secret, 'not for the probe')
    const action = { program: await realpath(probePath), args: [secret, ...(degraded ? ['degraded'] : [])] }
    const profile = parseProfile('limits: { wall_ms: 5000, memory_mb: 64, processes: 4 }')
    const places = await findPlaces(grantedPaths(profile, folder, action))
    const { exitCode, stdout } = await launch(planLaunch(profile, folder, action, places), { pool, degraded })
    if (exitCode === 0) return []
    return stdout.length > 0 ? stdout.toString().trim().split('\n') : ['the probe did not finish']
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function landlockAbi(): Promise<number> {
  const { stdout } = await promisify(execFile)(launcherPath, ['--version'])
  return Number(stdout.trim().split(' ')[1] ?? 0)
}

const orDegraded = 'Or take less protection by its name: CLAWMESH_SANDBOX=degraded (docs/policies.md).'

async function hintFor(message: string): Promise<string> {
  const setting = async (name: string) => (await readFile(`/proc/sys/${name}`, 'utf8').catch(() => '')).trim()
  if (message.includes('landlock'))
    return 'Use Linux 6.7 or newer with Landlock enabled (lsm=landlock,… on the kernel command line).'
  if ((await setting('kernel/apparmor_restrict_unprivileged_userns')) === '1')
    return `AppArmor restricts user namespaces here: add a profile that allows \`userns\` to the launcher, or start as root. ${orDegraded}`
  if (
    (await setting('kernel/unprivileged_userns_clone')) === '0' ||
    (await setting('user/max_user_namespaces')) === '0'
  )
    return `User namespaces are switched off here: set kernel.unprivileged_userns_clone=1 and user.max_user_namespaces above 0. ${orDegraded}`
  return `In a container, allow user namespaces and mounts to it, or run the sandbox role outside of it. ${orDegraded}`
}
