/** Which files actions are about: how nodes tell whether two of them work on the same. */
import { createHash } from 'node:crypto'
import { readFileSync, statfsSync, statSync } from 'node:fs'
import { hostname } from 'node:os'

export interface Workspace {
  folder: string
  /** The name of files that lie on several machines, as a person gave it to each of them: a network folder, or copies that are kept alike. */
  shared?: string | undefined
}

/**
 * The name that a person gave to the files, or else the very folder, as the kernel of this machine knows it: by whatever path it is reached, and no other that has taken its place.
 * Throws what `statSync` throws.
 */
export function workspaceId({ folder, shared }: Workspace): string {
  if (shared !== undefined) return `shared ${shared}`
  const { dev, ino, born } = lookAt(folder)
  return createHash('sha256').update(`${thisMachine()}\0${dev}\0${ino}\0${born}`).digest('base64url')
}

/**
 * The same for what outlives a start of the machine: what was begun on these files and cut off goes on with them, and not with those of another machine, or of another folder, that have the same
 * path. Throws what `statSync` throws.
 */
export function lastingWorkspaceId({ folder, shared }: Workspace): string {
  if (shared !== undefined) return `shared ${shared}`
  const { ino, born } = lookAt(folder)
  return createHash('sha256')
    .update(`${text('/etc/machine-id')}\0${hostname()}\0${ino}\0${born}`)
    .digest('base64url')
}

const overlay = 0x794c7630

/**
 * `born`: a folder that is made anew often has the number of the one that was removed before. Where layers lie over one another (overlayfs), the first change makes a folder anew, and it stays the
 * same one.
 */
function lookAt(folder: string) {
  const { dev, ino, birthtimeNs } = statSync(folder, { bigint: true })
  return { dev, ino, born: knowsBirth() && statfsSync(folder).type !== overlay ? birthtimeNs : 0n }
}

let knows: boolean | undefined

/** Where the system call for it is kept from this process, Node gives the time of the last change instead: also of what has none, as /proc. */
function knowsBirth(): boolean {
  knows ??= statSync('/proc/self', { bigint: true, throwIfNoEntry: false })?.birthtimeNs === 0n
  return knows
}

let boot: string | undefined

/** Containers of one machine have one kernel, which counts their folders together. */
function thisMachine(): string {
  boot ??= text('/proc/sys/kernel/random/boot_id')
  return `${boot}\0${hostname()}`
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    // Not Linux, where nothing is run in a sandbox, or a container without a number of its own.
    return ''
  }
}
