/**
 * The mode or the times that an action wants a file or folder to have, beyond what it was granted: followed as the kernel would, once. What is decided on is
 * what then has them. launcher/attributes.c takes the call, and is the worker that sets them.
 */
import { lstat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { findPlace, type Identity } from '../place.js'
import type { Mount } from '../plan.js'
import type { Pool } from '../pool.js'
import { encodeAttributes } from '../spec.js'
import { runErrand } from './errand.js'
import { follow } from './wanted.js'

export const attributes = ['mode', 'times'] as const
export type Attribute = (typeof attributes)[number]

export interface WantedAttributes extends Identity {
  readonly operation: Attribute
  /** Without a symbolic link in any part. */
  readonly path: string
  readonly kind: 'file' | 'folder'
  /** What they are to be, in words: all that a person is told, and all that a yes is to. */
  readonly to: string
  /** The mode; or as utimensat takes them, the time of the last access and of the last writing, each in seconds and nanoseconds. */
  readonly numbers: readonly bigint[]
}

export const isAttribute = (operation: string | undefined): operation is Attribute =>
  attributes.some((each) => each === operation)

/**
 * @param path absolute
 * @param times as attributes.c says them; of a mode empty
 * @param mode or, of times, 1 where a link itself is meant
 * @returns undefined where the kernel is to say what is wrong, or nobody can be asked: there is nothing, a device, a pipe, a link itself, a time that no
 * calendar has
 */
export async function wantedAttributes(
  operation: Attribute,
  path: string,
  times: string,
  mode: number,
): Promise<WantedAttributes | undefined> {
  const numbers = operation === 'mode' ? [BigInt(mode)] : times.split(' ').map(BigInt)
  const to = operation === 'mode' ? `0${mode.toString(8).padStart(3, '0')}` : timesInWords(numbers)
  const real = await realOf(path, operation === 'times' && mode !== 0)
  if (to === undefined || real === undefined) return undefined
  const found = await lstat(real, { bigint: true })
  if (!found.isFile() && !found.isDirectory()) return undefined
  const kind = found.isFile() ? 'file' : 'folder'
  return { operation, path: real, kind, to, numbers, device: found.dev, inode: found.ino }
}

/** Rejects as `runErrand` does: with DENIED where the path has something else by now. */
export function setAttributes(wanted: WantedAttributes, pool: Pool | undefined): Promise<readonly string[]> {
  const { operation, path, kind, numbers, device, inode } = wanted
  const mount: Mount = { access: 'rw', kind, source: path, target: path }
  return runErrand(encodeAttributes(mount, operation, [...numbers, device, inode]), mount, pool)
}

async function realOf(path: string, isOfLink: boolean): Promise<string | undefined> {
  const name = basename(path)
  if (path.endsWith('/') || name === '.' || name === '..') return (await follow(path))?.real
  const folder = await follow(dirname(path))
  if (folder?.kind !== 'folder') return undefined
  const at = join(folder.real, name)
  if (isOfLink && (await lstat(at)).isSymbolicLink()) return undefined
  return (await findPlace(at)).real
}

/** In the place of nanoseconds. */
const now = 0x3fffffffn
const asItIs = 0x3ffffffen

function timesInWords([accessed, accessedRest, written, writtenRest]: readonly bigint[]): string | undefined {
  const [access, writing] = [timeInWords(accessed, accessedRest), timeInWords(written, writtenRest)]
  if (access === undefined || writing === undefined) return undefined
  return access === writing ? access : `${access} (access) and ${writing} (writing)`
}

const latestSecond = 8_640_000_000_000n

function timeInWords(seconds = 0n, rest = 0n): string | undefined {
  if (rest === now) return 'now'
  if (rest === asItIs) return 'as it is'
  if (seconds > latestSecond) return undefined
  const part = rest === 0n ? 'Z' : `.${rest.toString().padStart(9, '0')}Z`
  return new Date(Number(seconds) * 1000).toISOString().replace('.000Z', part)
}
