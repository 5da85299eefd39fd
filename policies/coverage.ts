/**
 * Does a profile cover what an action needs? Pure: it compares paths and never looks at a disk, so every path must already be the real
 * one, absolute and without symbolic links (sandbox/place.ts finds it).
 *
 *     const { covered, missing, askable } = covers(profile, need, workspace)
 *     if (!covered && askable) … a person is asked; on yes the action runs under widen(profile, missing)
 */
import { hostRefusal } from './address.js'
import { isAskable, reach, readConnection } from './network.js'
import type { Access, AccessKind, Profile } from './profile.js'

export interface Need {
  readonly read: readonly string[]
  readonly write: readonly string[]
  /** The path of a program, or `tool:NAME`: a tool of the closed set brings its own program and needs no grant to be executed. */
  readonly program: string
  /** Other programs that it may start, each by its path. */
  readonly execute?: readonly string[]
}

export interface Coverage {
  readonly covered: boolean
  /** What is needed and not granted, in the order of the need. */
  readonly missing: readonly Access[]
  /** Something is missing, and the profile lets all of it be asked for. */
  readonly askable: boolean
}

export function covers(profile: Profile, need: Need, workspace: string): Coverage {
  const wanted: Access[] = [
    ...[need.program, ...(need.execute ?? [])]
      .filter((path) => !path.startsWith('tool:'))
      .map((path) => ({ kind: 'execute' as const, path })),
    ...need.read.map((path) => ({ kind: 'read' as const, path })),
    ...need.write.map((path) => ({ kind: 'write' as const, path })),
  ]
  const missing = wanted.filter(({ kind, path }) => !grantOf(profile, path, workspace).includes(kind))
  const mayAsk = (access: Access) => scopeOf(profile, access, workspace) !== undefined
  return { covered: missing.length === 0, missing, askable: missing.length > 0 && missing.every(mayAsk) }
}

/** The first entry of `ask` that lets this be asked for. */
export function scopeOf(profile: Profile, { kind, path }: Access, workspace: string): Access | undefined {
  if (kind === 'connect') {
    const connection = readConnection(path)
    return connection && profile.ask.find((scope) => scope.kind === 'connect' && isAskable(connection, scope.path))
  }
  if (isKernels(path)) return undefined
  const list = deepestGrant(profile, path, workspace)?.list
  if (list === 'hidden') return undefined
  // What an action can change is no program, whoever is asked.
  const isWritable = isWithin(path, workspace) || list === 'write'
  if (kind === 'execute' && isWritable) return undefined
  // Nor the other way round: what would be written by a yes could be executed next.
  if (kind === 'write' && grantOf(profile, path, workspace).includes('execute')) return undefined
  return entryOf(profile, { kind, path }, workspace)
}

/** The first entry of `ask` that names such a path, whether or not anybody may be asked for it. */
export const entryOf = ({ ask }: Profile, { kind, path }: Access, workspace: string): Access | undefined =>
  ask.find((scope) => scope.kind === kind && isWithin(path, inWorkspace(scope.path, workspace)))

/** The profile with exactly these accesses more. It is meant for one action and thrown away after it. */
export function widen(profile: Profile, missing: readonly Access[]): Profile {
  const added = (...kinds: AccessKind[]) => missing.filter(({ kind }) => kinds.includes(kind)).map(({ path }) => path)
  return {
    ...profile,
    read: [...profile.read, ...added('read', 'execute')],
    write: [...profile.write, ...added('write')],
    ...(profile.execute && { execute: [...profile.execute, ...added('execute')] }),
  }
}

/** Whether a profile lets something be connected to, or asked for, at all. */
export const hasNetwork = ({ network, ask }: Profile): boolean =>
  network.length > 0 || ask.some(({ kind }) => kind === 'connect')

export interface Grant {
  readonly list: 'read' | 'write' | 'hidden'
  /** As the profile writes it. */
  readonly path: string
}

/** The deepest grant above a path decides, so that a read-only folder inside a writable one stays read-only. */
export function deepestGrant(profile: Profile, path: string, workspace: string): Grant | undefined {
  const grants: Grant[] = [
    // Of two for the same place the later wins: writing over reading, hiding over both.
    ...profile.read.map((path) => ({ list: 'read' as const, path })),
    ...profile.write.map((path) => ({ list: 'write' as const, path })),
    ...profile.hidden.map((path) => ({ list: 'hidden' as const, path })),
  ]
  const depth = (grant: Grant) => inWorkspace(grant.path, workspace).length
  return grants
    .filter((grant) => isWithin(path, inWorkspace(grant.path, workspace)))
    .reduce<Grant | undefined>(
      (deepest, grant) => (deepest && depth(deepest) > depth(grant) ? deepest : grant),
      undefined,
    )
}

/** The answer to one connection; unlike a path, it is decided while the action runs. What is refused by its address alone is denied, whatever names it. */
export function answerToConnect(profile: Profile, path: string, workspace: string): 'allow' | 'ask' | 'deny' {
  const connection = readConnection(path)
  const reached = connection && reach(profile.network, connection)
  if (connection && hostRefusal(connection.host, reached?.endpoint.allowedIps ?? [])) return 'deny'
  if (reached) return 'allow'
  return scopeOf(profile, { kind: 'connect', path }, workspace) ? 'ask' : 'deny'
}

/** What may be done at a path. What can be written, or lies in the workspace, can never be executed. */
export function grantOf(profile: Profile, path: string, workspace: string): readonly AccessKind[] {
  const list = deepestGrant(profile, path, workspace)?.list
  if (list === undefined || list === 'hidden') return []
  if (list === 'write') return ['read', 'write']
  const isListed = profile.execute?.some((each) => isWithin(path, inWorkspace(each, workspace))) ?? true
  return isWithin(path, workspace) || !isListed ? ['read'] : ['read', 'execute']
}

/** `.` and what starts with `./` is meant below the workspace. */
export function inWorkspace(path: string, workspace: string): string {
  if (path.startsWith('/')) return path
  return path === '.' ? workspace : `${workspace}/${path.slice(2)}`
}

/** The kernel's own: an action has a /proc of its own, a minimal /dev and no /sys, and nobody can be asked for the machine's. */
export function isKernels(path: string): boolean {
  return ['/dev', '/proc', '/sys'].some((folder) => isWithin(path, folder))
}

export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`)
}
