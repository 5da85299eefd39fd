/**
 * A change of one name that an action wants beyond what it was granted: what it is of, by the real path of its folder, and how it is made; or one of the mode or
 * times of what has the name (attribute.ts). Only plain files go from one folder to another or get a second name: a link, and those in a folder, may lead
 * elsewhere from there. launcher/changes.c is the worker that makes one.
 */
import type { BigIntStats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { constants } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { isWithin } from '../../policies/coverage.js'
import type { Pool } from '../pool.js'
import { encodeChange } from '../spec.js'
import { attributes, isAttribute, setAttributes, type WantedAttributes, wantedAttributes } from './attribute.js'
import { runErrand } from './errand.js'
import { follow } from './wanted.js'

export const operations = [
  'remove',
  'remove-folder',
  'make-folder',
  'rename',
  'rename-folder',
  'link',
  'symlink',
  ...attributes,
] as const
export type Operation = (typeof operations)[number]

export interface WantedChange extends Entry {
  readonly operation: Operation
  /** What has the name, or is to have it; no symbolic link in any part before the name. */
  readonly path: string
  /** Of a rename or a link: the other name. Of a symbolic link: what it says, which need not be a path at all. Of a mode or times: these, in words. */
  readonly to?: string
  /** Of a rename onto a name that something has. */
  readonly replaced?: Entry
  /** Why it cannot be done, by its number, which programs go by: EEXIST, or EXDEV between folders between which no name goes. Nobody is asked then. */
  readonly error?: number
  /** A symbolic link, which is renamed in its folder or made; or a folder that is renamed: by either, a path that is named somewhere leads to something else. */
  readonly leads?: true
  /** Of a mode or times. */
  readonly sets?: WantedAttributes
}

/** What has a name; zeros where nothing has it. */
interface Entry {
  readonly device: bigint
  readonly inode: bigint
}

const { EEXIST, EXDEV } = constants.errno

const nothing: Entry = { device: 0n, inode: 0n }

/** Of a rename: it must replace nothing (RENAME_NOREPLACE). */
const replacesNothing = 1

export const isOperation = (word: string): word is Operation => operations.some((each) => each === word)

/** The names that an operation is of, each decided on; a symbolic link is no leave to go where it leads. */
export const namesOf = ({ operation, path, to }: Partial<Pick<WantedChange, 'operation' | 'path' | 'to'>>): string[] =>
  [path, operation === 'symlink' || isAttribute(operation) ? undefined : to].filter((each) => each !== undefined)

/** What is moved, or has another name, is read by that. */
export const isRead = (operation: Operation | undefined): boolean =>
  operation === 'rename' || operation === 'rename-folder' || operation === 'link'

/**
 * @param path absolute, as is the other name
 * @param mode of a new folder; of a rename, whether it must replace nothing; of a mode or times as wantedAttributes has it, as the other name is then
 * @returns undefined where the kernel is to say what is wrong: there is nothing, or something else than the operation is for
 */
export async function wantedChange(
  operation: Operation,
  path: string,
  to: string,
  mode: number,
): Promise<WantedChange | undefined> {
  if (isAttribute(operation)) {
    const wanted = await wantedAttributes(operation, path, to, mode)
    return wanted && { ...wanted, sets: wanted }
  }
  const from = await nameIn(path)
  if (!from) return undefined
  const found = await at(from)
  const there = (entry: BigIntStats | undefined) => entry && { error: EEXIST }
  if (operation === 'make-folder') return { operation, path: from, ...nothing, ...there(found) }
  if (operation === 'symlink') return { operation, path: from, to, leads: true, ...nothing, ...there(found) }
  const isOfFolder = operation === 'remove-folder' || (operation === 'rename' && found?.isDirectory())
  if (!found || !(isOfFolder ? found.isDirectory() : isFile(found))) return undefined
  const entry = { operation, path: from, ...entryOf(found) }
  if (!isRead(operation)) return entry
  const target = await nameIn(to)
  if (!target) return undefined
  if ((operation === 'link' || dirname(target) !== dirname(from)) && !found.isFile()) return undefined
  // What it would replace is removed by it.
  const replaced = await at(target)
  if (found.isDirectory())
    return replaced ? undefined : { ...entry, operation: 'rename-folder', to: target, leads: true }
  const mayReplace = operation === 'rename' && mode !== replacesNothing
  if (replaced && mayReplace && !isFile(replaced)) return undefined
  const error = (await isApart(from, target)) ? { error: EXDEV } : mayReplace ? undefined : there(replaced)
  const leads = found.isSymbolicLink() && { leads: true as const }
  return { ...entry, to: target, ...leads, ...error, ...(replaced && { replaced: entryOf(replaced) }) }
}

/** On two disks; with nothing around both but the whole machine; or, where root runs this, of two owners, since no one power would be that of the action. */
async function isApart(one: string, other: string): Promise<boolean> {
  const [here, there] = await Promise.all([lstat(dirname(one)), lstat(dirname(other))])
  const isOfTwo = process.geteuid?.() === 0 && here.uid !== there.uid
  return here.dev !== there.dev || isOfTwo || (here.ino !== there.ino && folderOf(one, other) === '/')
}

/** Resolves to the number of what went wrong, or 0. Rejects as `runErrand` does. */
export async function makeChange(wanted: WantedChange, mode: number, pool: Pool | undefined): Promise<number> {
  const report = await (wanted.sets ? setAttributes(wanted.sets, pool) : changeName(wanted, mode, pool))
  const [, error = ''] = report.map((line) => /^changed (\d+)$/.exec(line)).find((found) => found) ?? []
  if (error === '') throw new Error('the worker does not say what became of the change')
  return Number(error)
}

function changeName(
  { operation, path, to = '', device, inode, replaced = nothing }: WantedChange,
  mode: number,
  pool: Pool | undefined,
): Promise<readonly string[]> {
  // A name goes from one folder to another within one mount alone.
  const folder = isRead(operation) ? folderOf(path, to) : dirname(path)
  const mount = { access: 'rw', kind: 'folder', source: folder, target: folder } as const
  const names = { name: relative(folder, path), to: isRead(operation) ? relative(folder, to) : to }
  const change = { operation, ...names, mode, device, inode, toDevice: replaced.device, toInode: replaced.inode }
  return runErrand(encodeChange(mount, change), mount, pool)
}

/** The nearest folder that two names are in or below. */
function folderOf(one: string, other: string): string {
  let folder = dirname(one)
  while (!isWithin(dirname(other), folder)) folder = dirname(folder)
  return folder
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
