/**
 * Profile and action become a plan: every mount, limit and variable of one launch, said in full. Pure, so that what a profile means can
 * be read and tested without running anything. Landlock's rules follow from the mounts in the launcher: one table, two layers.
 *
 *     const places = await findPlaces(grantedPaths(profile, workspace, action))
 *     const outcome = await launch(planLaunch(profile, workspace, action, places), { signal })
 */
import { grantOf, inWorkspace, isWithin } from '../policies/coverage.js'
import type { Profile } from '../policies/profile.js'
import type { Link, Place } from './place.js'

export interface Action {
  /** Absolute and real. */
  readonly program: string
  /** Without the program's own name. */
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** What the program itself is made of, beside what the profile grants: its libraries, its code. */
  readonly execute?: readonly string[]
  readonly read?: readonly string[]
}

/** r: read, never execute. rx: read and execute. rw: write, never execute. dev: a device node. */
export type MountAccess = 'r' | 'rx' | 'rw' | 'dev'

export interface Mount {
  readonly access: MountAccess
  readonly source: string
  readonly target: string
}

export interface LaunchPlan {
  readonly program: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly folder: string
  /** Parents before what lies below them. */
  readonly mounts: readonly Mount[]
  readonly links: readonly Link[]
  /** In the launcher's units; none may be left out. */
  readonly limits: {
    readonly wall_ms: number
    readonly cpu_seconds: number
    readonly memory_bytes: number
    readonly file_bytes: number
    readonly tmp_bytes: number
    readonly open_files: number
    readonly processes: number
  }
  readonly outputBytes: number
}

const mebibyte = 1024 * 1024

/** /dev/zero is left out: mapping it shared gives memory that no limit counts. */
const devices = ['/dev/null', '/dev/full', '/dev/random', '/dev/urandom']

const deviceLinks: readonly Link[] = [
  { path: '/dev/fd', leadsTo: '/proc/self/fd' },
  { path: '/dev/stdin', leadsTo: '/proc/self/fd/0' },
  { path: '/dev/stdout', leadsTo: '/proc/self/fd/1' },
  { path: '/dev/stderr', leadsTo: '/proc/self/fd/2' },
]

const plainEnvironment = { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/tmp', TMPDIR: '/tmp', LANG: 'C.UTF-8' }

/** Every path of the host that the plan will name, for findPlaces. */
export function grantedPaths(profile: Profile, workspace: string, action: Action): string[] {
  const granted = [...profile.read, ...profile.write].map((path) => inWorkspace(path, workspace))
  return [...new Set([...granted, ...ownPaths(action)])]
}

/** @param places what findPlaces found; a granted path that does not exist is not there, and grants nothing */
export function planLaunch(
  profile: Profile,
  workspace: string,
  action: Action,
  places: ReadonlyMap<string, Place>,
): LaunchPlan {
  const accesses = new Map<string, MountAccess>()
  const links = new Map(deviceLinks.map((link) => [link.path, link.leadsTo]))
  const grant = (path: string, access: (real: string) => MountAccess) => {
    const place = places.get(path)
    if (!place) return
    accesses.set(place.real, access(place.real))
    for (const { path, leadsTo } of place.links) links.set(path, leadsTo)
  }
  for (const path of [...profile.read, ...profile.write])
    grant(inWorkspace(path, workspace), (real) => accessOf(profile, inWorkspace(path, workspace), real, workspace))
  // What the program is made of comes last: even inside a writable folder it stays as it is.
  for (const path of action.read ?? []) grant(path, () => 'r')
  for (const path of [action.program, ...(action.execute ?? [])]) grant(path, () => 'rx')

  const mounts = [...accesses]
    .map(([path, access]) => ({ access, source: path, target: path }))
    .sort((one, other) => (one.target < other.target ? -1 : 1))
  const needed = mounts.filter((mount) => nearestAbove(mounts, mount)?.access !== mount.access)
  const { limits } = profile
  return {
    program: places.get(action.program)?.real ?? action.program,
    args: [action.program, ...action.args],
    env: { ...plainEnvironment, ...action.env },
    folder: needed.some(({ target }) => isWithin(workspace, target) || isWithin(target, workspace)) ? workspace : '/',
    mounts: [...devices.map((path) => ({ access: 'dev' as const, source: path, target: path })), ...needed],
    // A link inside something that is mounted is there already.
    links: [...links]
      .filter(([path]) => !needed.some(({ target }) => isWithin(path, target)))
      .map(([path, leadsTo]) => ({ path, leadsTo })),
    limits: {
      wall_ms: limits.wallMs,
      cpu_seconds: limits.cpuSeconds,
      memory_bytes: limits.memoryMb * mebibyte,
      file_bytes: limits.fileMb * mebibyte,
      tmp_bytes: limits.tmpMb * mebibyte,
      open_files: limits.openFiles,
      processes: limits.processes,
    },
    outputBytes: limits.outputBytes,
  }
}

function ownPaths(action: Action): string[] {
  return [action.program, ...(action.execute ?? []), ...(action.read ?? [])]
}

/** The decision's own answer for the path as granted, so that the two can never differ. */
function accessOf(profile: Profile, granted: string, real: string, workspace: string): MountAccess {
  const kinds = grantOf(profile, granted, workspace)
  if (kinds.includes('write')) return 'rw'
  return kinds.includes('execute') && !isWithin(real, workspace) ? 'rx' : 'r'
}

function nearestAbove(mounts: readonly Mount[], below: Mount): Mount | undefined {
  return mounts
    .filter((mount) => mount !== below && isWithin(below.target, mount.target))
    .reduce<Mount | undefined>(
      (near, mount) => (near && near.target.length > mount.target.length ? near : mount),
      undefined,
    )
}
