/**
 * The program that a process is: the file that was executed, by the kernel's own word. Not its name for itself, nor its arguments, nor who started it. It
 * was opened where it ran, so a file that has since taken its path is another one, and so is one with other content.
 */
import { createHash } from 'node:crypto'
import { type BigIntStats, closeSync, createReadStream, fstatSync, openSync, readlinkSync, statSync } from 'node:fs'
import { ClawmeshError } from '../../policies/errors.js'

export interface Executed {
  /** Inside of the sandbox, and of the machine: the two are the same for what can be executed. */
  readonly path: string
  /** In hex. */
  readonly sha256: string
}

const mostKept = 256
const mostPrograms = 1024
/** To read more would take the disk and a processor from everybody else for seconds. */
const mostBytes = 2 ** 30

/** By file and state of it; a program is read once as long as it stays as it is. */
const read = new Map<string, Promise<string>>()

/** What each path was when it was first used. None is ever forgotten, or it could be another one then. */
const first = new Map<string, string>()

/**
 * Of a thread that is held in a call, so that it cannot execute anything else meanwhile. What is the kernel's to tell is asked at once: it waits for no disk.
 * @param most paths that are kept apart
 * @throws ClawmeshError DENIED where it cannot be told, is too large to be read, is one path too many, or another file than that path was before
 */
export async function executedBy(thread: number, most = mostPrograms): Promise<Executed> {
  const link = `/proc/${thread}/exe`
  const path = told(() => readlinkSync(link))
  return { path, sha256: await asFirst(link, path, most) }
}

/**
 * The hash of a script that an interpreter runs, by its real path.
 * @throws ClawmeshError DENIED, as for a program
 */
export const readAsFirst = (path: string): Promise<string> => asFirst(path, path, mostPrograms)

async function asFirst(link: string, path: string, most: number): Promise<string> {
  const sha256 = await hashOf(link, path)
  if (!first.has(path) && first.size >= most)
    throw new ClawmeshError('DENIED', `${path} is one program more than the ${most} that are kept apart.`, {
      hint: 'Start the node again, and see why so many programs ask.',
    })
  const known = first.get(path) ?? sha256
  first.set(path, known)
  if (known === sha256) return sha256
  throw new ClawmeshError('DENIED', `${path} is not the program that it was when it first asked.`, {
    hint: 'Start the node again if it was updated on purpose.',
  })
}

function told<T>(ask: () => T): T {
  try {
    return ask()
  } catch (cause) {
    throw new ClawmeshError('DENIED', 'Which program wants this cannot be told.', { cause })
  }
}

/** Of what the link leads to. It is opened only where that is not known, or not in this state. */
async function hashOf(link: string, path: string): Promise<string> {
  const known = read.get(stateOf(told(() => statSync(link, { bigint: true }))))
  if (known) return known
  const file = told(() => openSync(link, 'r'))
  try {
    const stats = fstatSync(file, { bigint: true })
    if (stats.size > mostBytes)
      throw new ClawmeshError(
        'DENIED',
        `${path} is larger than the ${mostBytes} bytes up to which a program is read.`,
        {
          hint: 'Let a smaller program do it.',
        },
      )
    const hashed = contentHash(file, Number(stats.size))
    const state = stateOf(stats)
    if (read.size >= mostKept) read.clear()
    read.set(state, hashed)
    hashed.catch(() => read.delete(state))
    return await hashed
  } finally {
    closeSync(file)
  }
}

const stateOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats) => `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`

async function contentHash(file: number, size: number): Promise<string> {
  const hash = createHash('sha256')
  const pieces = createReadStream('', { fd: file, start: 0, end: size - 1, autoClose: false, highWaterMark: 1 << 20 })
  for await (const piece of pieces) hash.update(piece)
  return hash.digest('hex')
}
