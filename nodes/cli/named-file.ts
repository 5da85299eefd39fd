/** Files and addresses that a person names on the command line: what is wrong with one is said as that person's, by the option's name. */
import { readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { ClawmeshError } from '../../policies/errors.js'

/** The text of a file. `what` names it in messages: "--token-file". Throws USAGE. */
export function readNamed(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw unusable(path, what, why(cause), cause)
  }
}

/** That a file can be written there, or be gone on with: in a folder that is there, and itself a plain file or nothing. Throws USAGE. */
export function checkWritable(path: string, what: string): void {
  checkPlain(path, what)
  const folder = lookAt(dirname(path), what)
  if (folder?.isDirectory()) return
  throw new ClawmeshError('USAGE', `There is no folder ${dirname(path)} to write to.`, {
    hint: 'Make it first, or name another one.',
  })
}

/** That nothing else but a plain file is there. Throws USAGE. */
export function checkPlain(path: string, what: string): void {
  const found = lookAt(path, what)
  if (found && !found.isFile())
    throw unusable(path, what, found.isDirectory() ? 'it is a folder' : 'it is no plain file')
}

/** Throws USAGE for what is no http:// or https:// address with a host. */
export function readAddress(given: string, what: string): URL {
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (url && /^https?:\/\//i.test(given) && url.hostname !== '') return url
  throw new ClawmeshError('USAGE', `${what} "${given}" is no address.`, {
    hint: 'Give one as http://HOST:PORT/PATH or https://…',
  })
}

function lookAt(path: string, what: string) {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch (cause) {
    throw unusable(path, what, why(cause), cause)
  }
}

const why = (cause: unknown): string => {
  const { code, message } = cause as NodeJS.ErrnoException
  if (code === 'ENOENT') return 'there is none'
  if (code === 'EISDIR') return 'it is a folder'
  return message
}

const unusable = (path: string, what: string, reason: string, cause?: unknown) =>
  new ClawmeshError('USAGE', `${what} ${path} cannot be used: ${reason}.`, {
    hint: 'Name another file.',
    cause,
  })
