/**
 * Profile and action become a plan: every mount, limit and variable of one launch, said in full. Pure, so that what a profile means can
 * be read and tested without running anything. Landlock's rules follow from the mounts in the launcher: one table, two layers.
 *
 *     const places = await findPlaces(grantedPaths(profile, workspace, action))
 *     const outcome = await launch(planLaunch(profile, workspace, action, places), { signal })
 */
import { dirname } from 'node:path'
import { grantOf, hasNetwork, inWorkspace, isWithin } from '../policies/coverage.js'
import { ClawmeshError } from '../policies/errors.js'
import type { CallGroup, Profile } from '../policies/profile.js'
import type { Identity, Link, Place } from './place.js'

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

/**
 * r: read, never execute. rx: read and execute. rw: write, never execute. pin: nothing more than what is mounted above it, but a mount
 * point, which cannot be renamed. none: something empty in its place. What every action has (/proc, /tmp, four devices) is the launcher's, and in no plan.
 */
export type MountAccess = 'r' | 'rx' | 'rw' | 'pin' | 'none'

export interface Mount {
  readonly access: MountAccess
  /** What must be there; new: nothing may be, and an empty file is made. */
  readonly kind: 'file' | 'folder' | 'new'
  readonly source: string
  readonly target: string
  /** Of what a person allowed: the launcher opens this and nothing else. */
  readonly identity?: Identity | undefined
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
    readonly memory_total_bytes: number
    readonly file_bytes: number
    readonly tmp_bytes: number
    readonly open_files: number
    readonly processes: number
    /** Of both streams together. */
    readonly output_bytes: number
  }
  /** Whether there is anything that it may connect to, or ask for. */
  readonly network: boolean
  /** Groups of calls that fail. */
  readonly without: readonly CallGroup[]
}

const mebibyte = 1024 * 1024

const deviceLinks: readonly Link[] = [
  { path: '/dev/fd', leadsTo: '/proc/self/fd' },
  { path: '/dev/stdin', leadsTo: '/proc/self/fd/0' },
  { path: '/dev/stdout', leadsTo: '/proc/self/fd/1' },
  { path: '/dev/stderr', leadsTo: '/proc/self/fd/2' },
]

const plainEnvironment = {
  PATH: '/usr/local/bin:/usr/bin:/bin',
  HOME: '/tmp',
  TMPDIR: '/tmp',
  LANG: 'C.UTF-8',
  // The action's /tmp is its home: what it puts there is not to be a part of each Python program that it starts.
  PYTHONNOUSERSITE: '1',
}

/** Every path of the host that the plan will name, for findPlaces. */
export function grantedPaths(profile: Profile, workspace: string, action: Action): string[] {
  const { read, write, hidden, execute = [] } = profile
  const granted = [...read, ...write, ...hidden, ...execute].map((path) => inWorkspace(path, workspace))
  return [...new Set([...granted, ...ownPaths(action)])]
}

/**
 * @param places what findPlaces found; a granted path that does not exist is not there, and grants nothing
 * @throws ClawmeshError DENIED where a path that is to stay read-only does not exist inside a writable one: an action could make it
 */
export function planLaunch(
  profile: Profile,
  workspace: string,
  action: Action,
  places: ReadonlyMap<string, Place>,
): LaunchPlan {
  const granted = new Map<string, Mount>()
  const links = new Map(deviceLinks.map((link) => [link.path, link.leadsTo]))
  const grant = (path: string, access: (real: string) => MountAccess) => {
    const place = places.get(path)
    if (!place || place.kind === 'missing' || place.kind === 'kernel') return
    const { real, kind, identity } = place
    granted.set(real, { access: access(real), kind, source: real, target: real, ...(identity && { identity }) })
    for (const { path, leadsTo } of place.links) links.set(path, leadsTo)
  }
  for (const path of [...profile.read, ...profile.write])
    grant(inWorkspace(path, workspace), (real) => accessOf(profile, inWorkspace(path, workspace), real, workspace))
  for (const path of (profile.execute ?? []).map((each) => inWorkspace(each, workspace)))
    if (grantOf(profile, path, workspace).includes('execute'))
      grant(path, (real) => accessOf(profile, path, real, workspace))
  for (const path of profile.hidden) grant(inWorkspace(path, workspace), () => 'none')
  // Inside of what may be executed it is not, whether or not the policy names it.
  if (nearestAbove([...granted.values()], workspace)?.access === 'rx' && !granted.has(workspace))
    granted.set(workspace, { access: 'r', kind: 'folder', source: workspace, target: workspace })
  // What the program is made of comes last: even inside a writable folder it stays as it is.
  for (const path of action.read ?? []) grant(path, () => 'r')
  for (const path of [action.program, ...(action.execute ?? [])]) grant(path, () => 'rx')

  // What is hidden in nothing is nowhere.
  const placesOf = (paths: readonly string[]) => paths.map((path) => places.get(inWorkspace(path, workspace)))
  const all = [...granted.values()]
  const mounts = all.filter((mount) => mount.access !== 'none' || nearestAbove(all, mount.target))
  requireThere(placesOf(profile.read), mounts, 'read-only')
  requireThere(placesOf(profile.hidden), mounts, 'hidden')
  requireNothingIn(mounts)
  const different = mounts.filter(
    ({ target, access, identity }) => nearestAbove(mounts, target)?.access !== access || (identity && access !== 'rw'),
  )
  const needed = [...different, ...pins(different)].sort((one, other) => (one.target < other.target ? -1 : 1))
  const { limits } = profile
  return {
    program: places.get(action.program)?.real ?? action.program,
    args: [action.program, ...action.args],
    env: { ...plainEnvironment, ...action.env },
    folder: needed.some(({ target }) => isWithin(workspace, target) || isWithin(target, workspace)) ? workspace : '/',
    mounts: needed,
    // A link inside something that is mounted is there already.
    links: [...links]
      .filter(([path]) => !needed.some(({ target }) => isWithin(path, target)))
      .map(([path, leadsTo]) => ({ path, leadsTo })),
    limits: {
      wall_ms: limits.wallMs,
      cpu_seconds: limits.cpuSeconds,
      memory_bytes: limits.memoryMb * mebibyte,
      memory_total_bytes: limits.memoryTotalMb * mebibyte,
      file_bytes: limits.fileMb * mebibyte,
      tmp_bytes: limits.tmpMb * mebibyte,
      open_files: limits.openFiles,
      processes: limits.processes,
      output_bytes: limits.outputBytes,
    },
    network: hasNetwork(profile),
    without: profile.without,
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

/** What stays read-only, or hidden, inside a writable folder has to be there: a mount holds only what exists. */
function requireThere(kept: readonly (Place | undefined)[], mounts: readonly Mount[], how: string): void {
  for (const place of kept) {
    if (place?.kind !== 'missing') continue
    const above = nearestAbove(mounts, place.real)
    if (above?.access !== 'rw') continue
    throw new ClawmeshError(
      'DENIED',
      `The policy keeps ${place.real} ${how} inside ${above.target}, but it does not exist, so an action could make it.`,
      { hint: 'Make it first, or take it out of read_only and hidden.' },
    )
  }
}

function requireNothingIn(mounts: readonly Mount[]): void {
  for (const { target, access } of mounts) {
    const above = nearestAbove(mounts, target)
    if (access === 'none' || above?.access !== 'none') continue
    throw new ClawmeshError('DENIED', `The policy hides ${above.target}, and an action would need ${target} in it.`, {
      hint: 'Hide what lies beside it, one by one.',
    })
  }
}

/** Every folder between a writable place and what is not writable below it: renamed, it would take the mount below it along. */
function pins(mounts: readonly Mount[]): Mount[] {
  const between = new Set<string>()
  for (const { target } of mounts) {
    const above = nearestAbove(mounts, target)
    if (above?.access !== 'rw') continue
    for (let folder = dirname(target); folder !== above.target; folder = dirname(folder)) between.add(folder)
  }
  return [...between].map((path) => ({ access: 'pin', kind: 'folder', source: path, target: path }))
}

function nearestAbove(mounts: readonly Mount[], path: string): Mount | undefined {
  return mounts
    .filter(({ target }) => target !== path && isWithin(path, target))
    .reduce<Mount | undefined>(
      (near, mount) => (near && near.target.length > mount.target.length ? near : mount),
      undefined,
    )
}
