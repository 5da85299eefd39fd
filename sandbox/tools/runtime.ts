/** What a tool's program is made of: this Node, its libraries, and the compiled code of the tools. Nothing else of the machine. */
import { realpath } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installation } from '../../mesh/installation.js'
import type { Action } from '../plan.js'
import { findProgram } from '../program.js'
import { hasSqlite } from './actions/sqlite.js'

/** Older ones warn on standard error that --jitless switches WebAssembly off, unless that is said too; newer ones no longer know the flag. */
export const noWasm = Number(process.versions.node.split('.')[0]) < 24 ? ['--no-expose-wasm'] : []

/**
 * Interpreted: the tool has no executable memory of its own, Node 24 does not reserve half a gigabyte of it against the memory limit, and it starts as fast. Few
 * threads and a small heap: a tool reads one file. Warnings would land in its output.
 */
const interpreted = ['--jitless', ...noWasm]
const lean = ['--v8-pool-size=0', '--max-old-space-size=256', '--no-warnings']

/** How Node is told to run some code as a module. */
export const nodeSnippet = (code: string): string[] => [...interpreted, ...lean, '--input-type=module', '--eval', code]

export const nodeEnvironment = { UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0' }

let runtime: Promise<Action> | undefined

/** The action that runs any tool of ours; found out once per process. */
export async function toolRuntime({ needsSqlite }: { needsSqlite: boolean }): Promise<Action> {
  runtime ??= findRuntime()
  runtime.catch(() => {
    runtime = undefined
  })
  const found = await runtime
  if (!needsSqlite || hasSqlite) return found
  // Where Node has none of its own, SQLite is WebAssembly, which cannot be had without executable memory.
  const args = found.args.filter((arg) => !interpreted.includes(arg))
  const library = await realpath(
    dirname(createRequire(import.meta.url).resolve('@sqlite.org/sqlite-wasm/package.json')),
  )
  return { ...found, args, read: [...(found.read ?? []), library] }
}

async function findRuntime(): Promise<Action> {
  const { program, execute } = await findProgram('node')
  const code = await realpath(dirname(fileURLToPath(import.meta.url)))
  return {
    program,
    args: [...interpreted, ...lean, join(code, 'program.js')],
    env: nodeEnvironment,
    // Node asks the nearest package.json whether a .js file is a module.
    read: [code, join(await realpath(installation), 'package.json')],
    execute,
  }
}
