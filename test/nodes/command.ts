/** The real command line as a child process, and what it left behind. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { installation } from '../../mesh/installation.js'
import { cacheFolder } from '../../nodes/config.js'

export interface Ended {
  status: number | null
  stdout: string
  stderr: string
  /** Of the error that was told: its lines on stderr, without the progress. */
  error: string[]
  /** Processes that the command started and that have not ended with it. */
  left(): number[]
}

export interface Running {
  child: ChildProcess
  stderr(): string
  ended: Promise<Ended>
}

export interface Given {
  env?: Record<string, string>
  /** A program and arguments that the command is run under. */
  before?: string[]
  /** Of another clone. */
  main?: string
  /** How the command is typed, up to its arguments; `clawmesh` itself, if left out. */
  typed?: string[]
  /** In a process group of its own, which can be ended with it. */
  group?: true
}

const ownMain = join(installation, 'dist', 'nodes', 'cli', 'main.js')

export function run(args: string[], given: Given = {}): Running {
  const mark = randomUUID()
  const { NODE_TEST_CONTEXT: _, INIT_CWD: __, ...env } = process.env
  const [program = '', ...rest] = [
    ...(given.before ?? []),
    ...(given.typed ?? [process.execPath, given.main ?? ownMain]),
    ...args,
  ]
  const child = spawn(program, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: given.group === true,
    env: { ...env, CLAWMESH_CACHE: cacheFolder(process.env), CLAWMESH_TEST_MARK: mark, ...given.env },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => {
      const error = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('· '))
      resolve({ status, stdout, stderr, error, left: () => marked(mark) })
    })
  })
  return { child, stderr: () => stderr, ended }
}

export const command = (...args: string[]): Promise<Ended> => run(args).ended

function marked(mark: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(join('/proc', pid, 'environ'), 'latin1').includes(mark)
      } catch {
        return false
      }
    })
    .map(Number)
}
