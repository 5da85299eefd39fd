/**
 * Does a profile cover what an action needs? Pure: it compares paths and never looks at a disk, so every path must already be the real
 * one, absolute and without symbolic links (sandbox/place.ts finds it).
 *
 *     const { covered, missing, askable } = covers(profile, need, workspace)
 *     if (!covered && askable) … a person is asked; on yes the action runs under widen(profile, missing)
 */
import type { Access, AccessKind, Profile } from './profile.js'

export interface Need {
  readonly read: readonly string[]
  readonly write: readonly string[]
  /** The path of a program, or `tool:NAME`: a tool of the closed set brings its own program and needs no grant to be executed. */
  readonly program: string
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
    ...(need.program.startsWith('tool:') ? [] : [{ kind: 'execute' as const, path: need.program }]),
    ...need.read.map((path) => ({ kind: 'read' as const, path })),
    ...need.write.map((path) => ({ kind: 'write' as const, path })),
  ]
  const missing = wanted.filter(({ kind, path }) => !grantOf(profile, path, workspace).includes(kind))
  const mayAsk = ({ kind, path }: Access) =>
    !isKernels(path) &&
    profile.ask.some((scope) => scope.kind === kind && isWithin(path, inWorkspace(scope.path, workspace)))
  return { covered: missing.length === 0, missing, askable: missing.length > 0 && missing.every(mayAsk) }
}

/** The profile with exactly these accesses more. It is meant for one action and thrown away after it. */
export function widen(profile: Profile, missing: readonly Access[]): Profile {
  const added = (...kinds: AccessKind[]) => missing.filter(({ kind }) => kinds.includes(kind)).map(({ path }) => path)
  return {
    ...profile,
    read: [...profile.read, ...added('read', 'execute')],
    write: [...profile.write, ...added('write')],
  }
}

/**
 * What may be done at a path: the deepest grant above it decides, so that a read-only folder inside a writable one stays read-only.
 * What can be written, or lies in the workspace, can never be executed.
 */
export function grantOf(profile: Profile, path: string, workspace: string): readonly AccessKind[] {
  const deepest = (grants: readonly string[]) =>
    grants
      .map((grant) => inWorkspace(grant, workspace))
      .filter((grant) => isWithin(path, grant))
      .reduce((longest, grant) => Math.max(longest, grant.length), 0)
  const read = deepest(profile.read)
  const write = deepest(profile.write)
  if (write > 0 && write >= read) return ['read', 'write']
  if (read === 0) return []
  return isWithin(path, workspace) ? ['read'] : ['read', 'execute']
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
