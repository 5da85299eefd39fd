/** A program of the machine by its name: where it is, and what it is made of. */
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import { ClawmeshError } from '../policies/errors.js'
import { librariesOf } from './libraries.js'
import { findPlace } from './place.js'
import type { Action } from './plan.js'

const folders = ['/usr/local/bin', '/usr/bin', '/bin']

export interface FoundProgram extends Pick<Action, 'program'> {
  /** Beside what the profile grants. */
  readonly execute: readonly string[]
  /** As a profile is asked for it: `tool:node` for the Node that this process runs on, which brings what it is made of and needs no grant. */
  readonly need: string
}

/**
 * @throws ClawmeshError USAGE for one that is not in the usual folders, and for what is there and is no program: leave to execute a folder would be leave to read and execute all that is in it, and
 * leave to execute a plain text would be leave to read it
 */
export async function findProgram(command: string): Promise<FoundProgram> {
  if (command === 'node') {
    const { real: program } = await findPlace(process.execPath)
    return { program, execute: [...(await librariesOf(program)), ...(await sharedSources())], need: 'tool:node' }
  }
  const { real: program, kind } = await findPlace(command.startsWith('/') ? command : await lookUp(command))
  if (kind === 'folder' || (kind === 'file' && !(await isExecutable(program)))) throw noProgram(program)
  return { program, execute: [], need: program }
}

/** Debian's own Node keeps part of its standard library in files. */
async function sharedSources(): Promise<string[]> {
  const folder = '/usr/share/nodejs'
  return access(folder).then(
    () => [folder],
    () => [],
  )
}

async function lookUp(command: string): Promise<string> {
  for (const path of command.includes('/') ? [] : folders.map((folder) => join(folder, command)))
    if (await isExecutable(path)) return path
  throw new ClawmeshError('USAGE', `There is no program "${command}" in ${folders.join(', ')}.`, {
    hint: 'Give the absolute path of a program, or "node".',
  })
}

const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  )

const noProgram = (path: string): ClawmeshError =>
  new ClawmeshError('USAGE', `${path} is no program: a folder, or a file that nobody may execute.`, {
    hint: 'Name the file that is to be executed, or what is to be read under "reads".',
  })
