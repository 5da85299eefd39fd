/**
 * Where a path really is. Symbolic links are followed here, once, before the decision. Nothing looks the path up by its links again: the
 * launcher opens the real path, refuses any link that has appeared on it since, and goes on by the descriptor alone. Inside the sandbox
 * the same links are made again, so that a program finds `/lib64` where it expects it.
 */
import { lstatSync, readlinkSync, type Stats } from 'node:fs'
import { lstat, readlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { isKernels, isWithin } from '../policies/coverage.js'
import { ClawmeshError, type ErrorCode } from '../policies/errors.js'

export interface Link {
  readonly path: string
  readonly leadsTo: string
}

/** What must be at a path: this very thing. Of a program also as long as it was, and not written to since. */
export interface Identity {
  readonly device: bigint
  readonly inode: bigint
  readonly unchanged?: { readonly bytes: bigint; readonly changedNs: bigint }
}

export interface Place {
  /** Without a symbolic link in any part. */
  readonly real: string
  /**
   * What is there. missing: nothing, `real` is where it would be. new: nothing, and the launch is to make an empty file of it. kernel:
   * it leads into /proc, /dev or /sys, where names mean another thing for each process; it is not looked at any further.
   */
  readonly kind: 'file' | 'folder' | 'missing' | 'new' | 'kernel'
  /** The links on the way, each by its own real path. */
  readonly links: readonly Link[]
  /** What was there when a person was asked about it. */
  readonly identity?: Identity | undefined
}

const mostLinks = 40

/** The kernel's PATH_MAX, with its NUL, and NAME_MAX. */
const pathBytes = 4095
const nameBytes = 255
const tooLong = (text: string, bytes: number) => Buffer.byteLength(text) > bytes

interface Disk {
  lstat(path: string): Promise<Stats>
  readlink(path: string): Promise<string>
}

const disk: Disk = { lstat, readlink }

/**
 * Of what a policy grants: these few paths are looked up for each action, and most of what that costs is the way to another thread. An agent does not choose
 * them; where one may lead to a disk that does not answer, this process must not wait for it.
 */
const diskAtOnce: Disk = {
  lstat: async (path) => lstatSync(path),
  readlink: async (path) => readlinkSync(path),
}

/** What is at a path, looked at once: several paths by the same folder then see the same, and cost less. */
class Looks {
  readonly #disk: Disk
  #seen = new Map<string, Promise<Stats>>()

  constructor(by = disk) {
    this.#disk = by
  }

  at(path: string): Promise<Stats> {
    const seen = this.#seen.get(path) ?? this.#disk.lstat(path)
    this.#seen.set(path, seen)
    return seen
  }

  link(path: string): Promise<string> {
    return this.#disk.readlink(path)
  }
}

/** @throws ClawmeshError MESSAGE_INVALID for a path that no program could use: too long, in a circle, behind a closed folder */
export async function findPlace(path: string, looks = new Looks()): Promise<Place> {
  const links: Link[] = []
  let real = '/'
  let kind: Place['kind'] = 'folder'
  let rest = parts(path)
  // Looked up, a path whose beginning is missing would not show that its end is too long.
  if (tooLong(path, pathBytes) || rest.some((part) => tooLong(part, nameBytes))) throw unusable(path, 'ENAMETOOLONG')
  while (rest.length > 0) {
    const [part = '', ...after] = rest
    const at = join(real, part)
    const beyond = join(at, ...after)
    if (isKernels(at)) return { real: beyond, kind: 'kernel', links }
    const found = await looks.at(at).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
      throw unusable(path, error.code, error)
    })
    if (!found) return { real: beyond, kind: 'missing', links }
    if (!found.isSymbolicLink()) {
      real = at
      kind = found.isDirectory() ? 'folder' : 'file'
      rest = after
      continue
    }
    if (links.length === mostLinks) throw unusable(path, 'ELOOP')
    const leadsTo = resolve(
      real,
      await looks.link(at).catch((error: NodeJS.ErrnoException) => {
        throw unusable(path, 'changing', error)
      }),
    )
    links.push({ path: at, leadsTo })
    real = '/'
    kind = 'folder'
    rest = [...parts(leadsTo), ...after]
  }
  return { real, kind, links }
}

/**
 * The places of what a policy grants, and of what a program is made of.
 * @param writable those of the paths where actions may write: a link found there may have been made by one, and is not followed to a grant
 * @throws ClawmeshError DENIED for a link that an action may have made and for what leads into /proc, /dev or /sys, POLICY_INVALID for a
 * path that cannot be used
 */
export async function findPlaces(
  paths: readonly string[],
  writable: readonly string[] = [],
): Promise<Map<string, Place>> {
  const looks = new Looks(diskAtOnce)
  const places = new Map(
    await Promise.all(
      paths.map(async (path) => [path, await findPlace(path, looks).catch(recode('POLICY_INVALID'))] as const),
    ),
  )
  const areas = writable.map((path) => places.get(path)?.real ?? path)
  for (const [path, { real, kind, links }] of places) {
    if (kind === 'kernel')
      throw new ClawmeshError('DENIED', `The policy grants ${path}, which leads to ${real}: that is the kernel’s.`, {
        hint: 'Take it out of the policy: an action has a /proc of its own, a minimal /dev, and no /sys.',
      })
    const doubtful = links.find((link) => areas.some((area) => isWithin(link.path, area)))
    if (doubtful)
      throw new ClawmeshError(
        'DENIED',
        `The policy grants ${path}, but ${doubtful.path} is a link that an action may have made.`,
        { hint: 'Name the place that is meant itself, not a link to it.' },
      )
  }
  return places
}

/** The same failure of a path under the code that fits whoever named it. */
export function recode(code: ErrorCode): (error: unknown) => never {
  return (error) => {
    const { code: given, message, hint } = ClawmeshError.from(error)
    throw given === 'MESSAGE_INVALID' ? new ClawmeshError(code, message, { hint, cause: error }) : error
  }
}

const reasons: Record<string, string> = {
  ENAMETOOLONG: 'it is longer than a path can be',
  ELOOP: 'its links lead in a circle',
  changing: 'somebody changes it at this moment',
  EACCES: 'a folder on the way may not be entered',
}
const shownCharacters = 200

function unusable(path: string, code = '', cause?: Error): ClawmeshError {
  const shown = path.length > shownCharacters ? `${path.slice(0, shownCharacters)}…` : path
  const why = reasons[code] ?? `it cannot be looked up (${code || cause?.message})`
  return new ClawmeshError('MESSAGE_INVALID', `The path ${shown} cannot be used: ${why}.`, {
    hint: 'Name a path that can be reached.',
    cause,
  })
}

function parts(path: string): string[] {
  return resolve('/', path).split('/').filter(Boolean)
}
