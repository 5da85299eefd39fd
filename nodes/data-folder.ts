/** One mesh's folder on this machine. One process at a time owns it. */
import { accessSync, constants, existsSync, mkdirSync, readdirSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { ClawmeshError } from '../policies/errors.js'
import { type Lock, takeLock } from './lock.mjs'

/** Where things are in it. */
export interface DataPaths {
  readonly path: string
  readonly authority: string
  readonly checkpoints: string
  /** The signed note of the newest checkpoint, apart from the checkpoints. */
  readonly newestCheckpoint: string
  readonly broker: string
  /** How readers of the audit stream get in while a broker runs on the store. */
  readonly auditAccess: string
  /** The folder of one node: its credentials, its chain, its log. */
  node(name: string): string
  /** Names of all nodes that ever ran here. */
  nodes(): string[]
}

export interface DataFolder extends DataPaths {
  /** DISK_FULL if the disk is so full that whatever else fails, fails because of it. */
  full(): ClawmeshError | undefined
  /** Calls once with DISK_FULL when the disk runs full; returns what ends the watch. */
  watch(onFull: (error: ClawmeshError) => void): () => void
  release(): void
}

const megabyte = 1024 * 1024
/** Less than this and the broker would soon stop taking events. */
const leastFreeBytes = 32 * megabyte
/** With less than this nothing that happens can be recorded for long, and the broker answers nobody: time to end in good order. */
const lastFreeBytes = 4 * megabyte
const watchMs = 500

/** Takes the folder, or rejects with DATA_IN_USE if a living process has it. */
export function openDataFolder(path: string): DataFolder {
  prepare(path)
  const lock = lockFolder(path)
  const release = () => lock.release()
  process.once('exit', release)
  return {
    ...dataPaths(path),
    full: () => fullness(path, lastFreeBytes),
    watch: (onFull) => {
      const timer = setInterval(() => {
        const error = fullness(path, lastFreeBytes)
        if (!error) return
        clearInterval(timer)
        onFull(error)
      }, watchMs)
      return () => clearInterval(timer)
    },
    release: () => {
      process.off('exit', release)
      release()
    },
  }
}

/** Of a folder that another process may own: to read what may be read of it. */
export function dataPaths(path: string): DataPaths {
  const nodesFolder = join(path, 'nodes')
  return {
    path,
    authority: join(path, 'authority'),
    checkpoints: join(path, 'authority', 'checkpoints.jsonl'),
    newestCheckpoint: join(path, 'newest-checkpoint.json'),
    broker: join(path, 'broker'),
    auditAccess: join(path, 'broker', 'audit-access.json'),
    node: (name) => {
      const folder = join(nodesFolder, name)
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      return folder
    },
    nodes: () => (existsSync(nodesFolder) ? readdirSync(nodesFolder) : []),
  }
}

/** Whether nodes joined a mesh from it that was made elsewhere. */
export const isMemberOnly = (path: string): boolean => isDataFolder(path) && !existsSync(dataPaths(path).authority)

/** For what takes a mesh that was made here. */
export const noMesh = (path: string): ClawmeshError =>
  isMemberOnly(path)
    ? new ClawmeshError('USAGE', `${path} is of a node that joined a mesh.`, {
        hint: 'This works where that mesh was made: type it there.',
      })
    : new ClawmeshError('USAGE', `There is no mesh in ${path}.`, { hint: 'Name its data folder with --data.' })

/** Whether a mesh was made in it, or a node joined one from it: any other folder is not ours to change anything in. */
export const isDataFolder = (path: string): boolean =>
  existsSync(join(path, 'authority', 'authority.json')) ||
  dataPaths(path)
    .nodes()
    .some((name) => existsSync(join(path, 'nodes', name, 'credentials.json')))

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

/** Whether a living process has the folder. */
export function isRunning(path: string): boolean {
  if (!existsSync(join(path, 'lock'))) return false
  const lock = takeLock(join(path, 'lock'))
  if (!('release' in lock)) return true
  lock.release()
  return false
}

function prepare(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC') throw ClawmeshError.from(cause)
    throw unusable(path, cause)
  }
  const full = fullness(path, leastFreeBytes)
  if (full) throw full
}

function unusable(path: string, cause: unknown): ClawmeshError {
  return new ClawmeshError('USAGE', `The data folder ${path} cannot be used: ${(cause as Error).message}.`, {
    hint: 'Choose one on a local disk that you can write to with --data.',
    cause,
  })
}

function fullness(path: string, least: number): ClawmeshError | undefined {
  const { bavail, bsize } = statfsSync(path)
  const free = bavail * bsize
  if (free >= least) return undefined
  return new ClawmeshError(
    'DISK_FULL',
    `Only ${Math.floor(free / megabyte)} MB are free on the disk that holds ${path}; ${least / megabyte} MB are needed.`,
    { hint: 'Free some space, or choose another folder with --data, and start again.' },
  )
}

function lockFolder(path: string): Lock {
  const lock = tryLock(path)
  if ('release' in lock) return lock
  throw new ClawmeshError(
    'DATA_IN_USE',
    `The data folder ${path} belongs to a mesh that is running (process ${lock.holder}).`,
    {
      hint: 'Stop that one first (it may run in another container), or choose another folder with --data.',
    },
  )
}

function tryLock(path: string): ReturnType<typeof takeLock> {
  try {
    return takeLock(join(path, 'lock'))
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOSPC') throw ClawmeshError.from(cause)
    throw unusable(path, cause)
  }
}
