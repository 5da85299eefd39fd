/** What a held open is for: the file at its path, followed as the kernel would, once. What is decided on and handed over is this and nothing else. */
import { constants } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { findPlace } from '../place.js'

export interface WantedFile {
  readonly access: 'read' | 'write'
  /** Without a symbolic link in any part. */
  readonly path: string
  /** new: nothing is there, and the open would make it. */
  readonly kind: 'file' | 'new'
  /** Of a file that is there; zero of a new one. */
  readonly device: bigint
  readonly inode: bigint
}

const { O_ACCMODE, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_TRUNC } = { O_ACCMODE: 3, ...constants }

/**
 * @param path absolute
 * @param flags as given to open
 * @returns undefined where there is no plain file to be had: nothing, a folder, a device, a pipe, something of the kernel's
 */
export async function wantedFile(path: string, flags: number): Promise<WantedFile | undefined> {
  const name = basename(path)
  if (path.endsWith('/') || name === '.' || name === '..') return undefined
  const folder = await follow(dirname(path))
  if (folder?.kind !== 'folder') return undefined
  const at = join(folder.real, name)
  const isThere = await lstat(at).then(
    (found) => !(found.isSymbolicLink() && flags & O_NOFOLLOW) && !(flags & O_CREAT && flags & O_EXCL),
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  )
  if (!isThere) return undefined
  const { real, kind } = await findPlace(at)
  const writes = (flags & O_ACCMODE) !== O_RDONLY || (flags & O_TRUNC) !== 0
  if (kind === 'missing') {
    const parent = await findPlace(dirname(real))
    if (!(flags & O_CREAT) || parent.kind !== 'folder' || parent.real !== dirname(real)) return undefined
    return { access: 'write', path: real, kind: 'new', device: 0n, inode: 0n }
  }
  if (kind !== 'file') return undefined
  const found = await lstat(real, { bigint: true })
  if (!found.isFile()) return undefined
  return { access: writes ? 'write' : 'read', path: real, kind: 'file', device: found.dev, inode: found.ino }
}

/** `..` is the folder above where the links before it lead, as for the kernel. */
export async function follow(path: string) {
  let place = await findPlace('/')
  for (const [index, part] of path.split(/(?:^|\/)\.\.(?=\/|$)/).entries()) {
    const from = index === 0 ? place.real : dirname(place.real)
    place = await findPlace(join(from, part))
    if (place.kind !== 'folder') return undefined
  }
  return place
}
