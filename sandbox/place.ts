/**
 * Where a granted path really is. Symbolic links are followed here, before the decision, and the launcher later refuses any that has
 * appeared since; inside the sandbox the same links are made again, so that a program finds `/lib64` where it expects it.
 */
import { lstat, readlink } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { isWithin } from '../policies/coverage.js'
import { ClawmeshError } from '../policies/errors.js'

export interface Link {
  readonly path: string
  readonly leadsTo: string
}

export interface Place {
  /** Without a symbolic link in any part. */
  readonly real: string
  readonly folder: boolean
  /** The links on the way, each by its own real path. */
  readonly links: readonly Link[]
}

const mostLinks = 40

/**
 * @param writable where actions may write: a link found there may have been made by one, and is not followed to a grant
 * @returns undefined where nothing exists
 * @throws ClawmeshError DENIED for a link that an action may have made
 */
export async function findPlace(path: string, writable: readonly string[] = []): Promise<Place | undefined> {
  const links: Link[] = []
  let real = '/'
  let folder = true
  let rest = parts(path)
  while (rest.length > 0) {
    const [part = '', ...after] = rest
    const at = join(real, part)
    const found = await lstat(at).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
      throw error
    })
    if (!found) return undefined
    if (!found.isSymbolicLink()) {
      real = at
      folder = found.isDirectory()
      rest = after
      continue
    }
    if (writable.some((area) => isWithin(at, area)))
      throw new ClawmeshError(
        'DENIED',
        `The policy grants ${path}, but ${at} is a link that an action may have made.`,
        {
          hint: 'Name the place that is meant itself, not a link to it.',
        },
      )
    if (links.length === mostLinks) return undefined
    const leadsTo = resolve(real, await readlink(at))
    links.push({ path: at, leadsTo })
    real = '/'
    rest = [...parts(leadsTo), ...after]
  }
  return { real, folder, links }
}

/** The places of all that exists. */
export async function findPlaces(
  paths: readonly string[],
  writable: readonly string[] = [],
): Promise<Map<string, Place>> {
  const found = await Promise.all(paths.map(async (path) => [path, await findPlace(path, writable)] as const))
  return new Map(found.flatMap(([path, place]) => (place ? [[path, place] as const] : [])))
}

/**
 * The real path of something that a tool names, whether it exists or not: what is missing is taken as it is written, below the
 * deepest folder that exists.
 */
export async function realPathOf(path: string): Promise<string> {
  const place = await findPlace(path)
  if (place) return place.real
  // A link that leads nowhere would, once written to, make the file that it names: that file is what is needed.
  const parent = await realPathOf(dirname(path))
  const at = join(parent, basename(path))
  const leadsTo = await readlink(at).catch(() => undefined)
  return leadsTo === undefined ? at : realPathOf(resolve(parent, leadsTo))
}

function parts(path: string): string[] {
  return resolve('/', path).split('/').filter(Boolean)
}
