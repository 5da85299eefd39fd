/**
 * A change of one name that an action wants beyond what it was granted: what it is of, by the real path of its folder, and how it is made. Renames are within a
 * folder: between two, they would need both at once; programs then copy, which is asked for open by open. Folders are not renamed, since what lies in them
 * would come along unasked. launcher/changes.c is the worker that makes one.
 */
import type { BigIntStats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Pool } from '../pool.js'
import { encodeChange } from '../spec.js'
import { runErrand } from './errand.js'
import { follow } from './wanted.js'

export const operations = ['remove', 'remove-folder', 'make-folder', 'rename'] as const
export type Operation = (typeof operations)[number]

export interface WantedChange extends Entry {
  readonly operation: Operation
  /** What has the name, or is to have it; no symbolic link in any part before the name. */
  readonly path: string
  /** Of a rename: in the same folder. */
  readonly to?: string
  /** Of a rename onto a name that something has. */
  readonly replaced?: Entry
}

/** What has a name; zeros where nothing has it. */
interface Entry {
  readonly device: bigint
  readonly inode: bigint
}

const nothing: Entry = { device: 0n, inode: 0n }

export const isOperation = (word: string): word is Operation => operations.some((each) => each === word)

/**
 * @param path absolute, as is `to`
 * @returns undefined where the kernel is to say what is wrong: there is nothing, or something, or something else than the operation is for
 */
export async function wantedChange(operation: Operation, path: string, to: string): Promise<WantedChange | undefined> {
  const from = await nameIn(path)
  const target = operation === 'rename' ? await nameIn(to) : undefined
  if (!from || (operation === 'rename' && (!target || dirname(target) !== dirname(from)))) return undefined
  const found = await at(from)
  if (operation === 'make-folder') return found ? undefined : { operation, path: from, ...nothing }
  if (!found || !(operation === 'remove-folder' ? found.isDirectory() : isFile(found))) return undefined
  const entry = { operation, path: from, ...entryOf(found) }
  if (!target) return entry
  // What it would replace is removed by it.
  const replaced = await at(target)
  if (replaced && !isFile(replaced)) return undefined
  return { ...entry, to: target, ...(replaced && { replaced: entryOf(replaced) }) }
}

/** Resolves to the number of what went wrong, or 0. Rejects as `runErrand` does. */
export async function makeChange(
  { operation, path, to = '', device, inode, replaced = nothing }: WantedChange,
  mode: number,
  pool: Pool | undefined,
): Promise<number> {
  const folder = dirname(path)
  const mount = { access: 'rw', kind: 'folder', source: folder, target: folder } as const
  const name = { name: basename(path), to: to && basename(to) }
  const change = { operation, ...name, mode, device, inode, toDevice: replaced.device, toInode: replaced.inode }
  const report = await runErrand(encodeChange(mount, change), mount, pool)
  const [, error = ''] = report.map((line) => /^changed (\d+)$/.exec(line)).find((found) => found) ?? []
  if (error === '') throw new Error('the worker does not say what became of the change')
  return Number(error)
}

async function nameIn(path: string): Promise<string | undefined> {
  const name = basename(path)
  if (path.endsWith('/') || name === '.' || name === '..') return undefined
  const folder = await follow(dirname(path))
  return folder?.kind === 'folder' ? join(folder.real, name) : undefined
}

const at = (path: string): Promise<BigIntStats | undefined> =>
  lstat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return undefined
  })

const isFile = (found: BigIntStats) => found.isFile() || found.isSymbolicLink()
const entryOf = ({ dev, ino }: BigIntStats): Entry => ({ device: dev, inode: ino })
