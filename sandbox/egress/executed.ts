/**
 * The program that a process is: the file that was executed, by the kernel's own word. Not its name for itself, nor its arguments, nor who started it. It
 * was opened where it ran, so a file that has since taken its path is another one, and so is one with other content.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, open, readlink } from 'node:fs/promises'
import { ClawmeshError } from '../../policies/errors.js'

export interface Executed {
  /** Inside of the sandbox, and of the machine: the two are the same for what can be executed. */
  readonly path: string
  /** In hex. */
  readonly sha256: string
}

const mostKept = 256

/** By file and state of it; a program is read once as long as it stays as it is. */
const read = new Map<string, Promise<string>>()

/** What each path was when it was first used. */
const first = new Map<string, string>()

/**
 * Of a thread that is held in a call, so that it cannot execute anything else meanwhile.
 * @throws ClawmeshError DENIED where it cannot be told, or is another file than that path was before
 */
export async function executedBy(thread: number): Promise<Executed> {
  const link = `/proc/${thread}/exe`
  const file = await open(link).catch((cause: unknown) => {
    throw new ClawmeshError('DENIED', 'Which program wants to connect cannot be told.', { cause })
  })
  try {
    const path = await readlink(link)
    const sha256 = await hashOf(file)
    const known = first.get(path) ?? sha256
    first.set(path, known)
    if (known === sha256) return { path, sha256 }
    throw new ClawmeshError('DENIED', `${path} is not the program that it was when it first connected.`, {
      hint: 'Start the node again if it was updated on purpose.',
    })
  } finally {
    await file.close()
  }
}

async function hashOf(file: FileHandle): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await file.stat({ bigint: true })
  const key = [dev, ino, size, mtimeNs, ctimeNs].join(':')
  const known = read.get(key) ?? contentHash(file)
  if (read.size >= mostKept) read.clear()
  read.set(key, known)
  known.catch(() => read.delete(key))
  return known
}

async function contentHash(file: FileHandle): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of file.createReadStream({ autoClose: false, highWaterMark: 1 << 20 })) hash.update(piece)
  return hash.digest('hex')
}
