/** One mesh's folder on this machine. One process at a time owns it. */
import { accessSync, constants, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ClawmeshError } from '../policies/errors.js'

export interface DataFolder {
  readonly path: string
  readonly authority: string
  readonly checkpoints: string
  readonly broker: string
  /** The folder of one node: its credentials, its chain, its log. */
  node(name: string): string
  /** Names of all nodes that ever ran here. */
  nodes(): string[]
  release(): void
}

/** Less than this and the broker would soon stop taking events. */
const leastFreeBytes = 32 * 1024 * 1024

/** Takes the folder, or rejects with DATA_IN_USE if a living process has it. */
export function openDataFolder(path: string): DataFolder {
  prepare(path)
  const lock = takeLock(path)
  const nodesFolder = join(path, 'nodes')
  return {
    path,
    authority: join(path, 'authority'),
    checkpoints: join(path, 'authority', 'checkpoints.jsonl'),
    broker: join(path, 'broker'),
    node: (name) => {
      const folder = join(nodesFolder, name)
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      return folder
    },
    nodes: () => {
      mkdirSync(nodesFolder, { recursive: true, mode: 0o700 })
      return readdirSync(nodesFolder)
    },
    release: () => rmSync(lock, { force: true }),
  }
}

/** The first of `base`, `base-2`, `base-3` … that nobody uses: a second mesh beside the first needs no option. */
export function openFreeDataFolder(base: string): DataFolder {
  for (let number = 1; ; number += 1) {
    try {
      return openDataFolder(number === 1 ? base : `${base}-${number}`)
    } catch (error) {
      const isTaken = error instanceof ClawmeshError && error.code === 'DATA_IN_USE'
      if (!isTaken || number === 100) throw error
    }
  }
}

function prepare(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC') throw ClawmeshError.from(cause)
    throw new ClawmeshError('USAGE', `The data folder ${path} cannot be used: ${(cause as Error).message}.`, {
      hint: 'Choose one that you can write to with --data.',
      cause,
    })
  }
  const { bavail, bsize } = statfsSync(path)
  if (bavail * bsize < leastFreeBytes) {
    throw new ClawmeshError(
      'DISK_FULL',
      `Only ${Math.floor((bavail * bsize) / 1024 / 1024)} MB are free on the disk that holds ${path}; ${leastFreeBytes / 1024 / 1024} MB are needed.`,
      { hint: 'Free some space, or choose another folder with --data, and start again.' },
    )
  }
}

function takeLock(path: string): string {
  const lock = join(path, 'lock')
  for (;;) {
    try {
      writeFileSync(lock, `${process.pid} ${bornAt(process.pid)}`, { flag: 'wx', mode: 0o600 })
      return lock
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw ClawmeshError.from(error)
    }
    const holder = readLock(lock)
    if (holder && isAlive(holder.pid) && bornAt(holder.pid) === holder.born) {
      throw new ClawmeshError(
        'DATA_IN_USE',
        `The data folder ${path} belongs to a mesh that is running (process ${holder.pid}).`,
        {
          hint: 'Stop that one first, or choose another folder with --data.',
        },
      )
    }
    rmSync(lock, { force: true })
  }
}

function readLock(lock: string): { pid: number; born: string } | undefined {
  try {
    const [pid = '', born = ''] = readFileSync(lock, 'utf8').split(' ')
    return { pid: Number(pid), born }
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** When a process began, where the system says so: a process id alone may have been given to another one since. */
function bornAt(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
