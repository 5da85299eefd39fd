/** What a tool's program is made of: this Node, its libraries, and the compiled code of the tools. Nothing else of the machine. */
import { access, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installation } from '../../mesh/installation.js'
import { librariesOf } from '../libraries.js'
import type { Action } from '../plan.js'

/** Older ones warn on standard error that --jitless switches WebAssembly off, unless that is said too; newer ones no longer know the flag. */
export const noWasm = Number(process.versions.node.split('.')[0]) < 24 ? ['--no-expose-wasm'] : []

let runtime: Promise<Action> | undefined

/** The action that runs any tool; found out once per process. */
export function toolRuntime(): Promise<Action> {
  runtime ??= findRuntime()
  runtime.catch(() => {
    runtime = undefined
  })
  return runtime
}

async function findRuntime(): Promise<Action> {
  const node = await realpath(process.execPath)
  const code = await realpath(dirname(fileURLToPath(import.meta.url)))
  return {
    program: node,
    // Interpreted: the tool has no executable memory of its own, Node 24 does not reserve half a gigabyte of it against the memory
    // limit, and it starts as fast. Few threads and a small heap: a tool reads one file. Warnings would land in its output.
    args: [
      '--jitless',
      ...noWasm,
      '--v8-pool-size=0',
      '--max-old-space-size=256',
      '--no-warnings',
      join(code, 'program.js'),
    ],
    env: { UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0' },
    // Node asks the nearest package.json whether a .js file is a module.
    read: [code, join(await realpath(installation), 'package.json')],
    execute: [...(await librariesOf(node)), ...(await sharedSources())],
  }
}

/** Debian's own Node keeps part of its standard library in files. */
async function sharedSources(): Promise<string[]> {
  const folder = '/usr/share/nodejs'
  return access(folder).then(
    () => [folder],
    () => [],
  )
}
