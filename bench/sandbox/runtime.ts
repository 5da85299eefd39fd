/**
 * `@anthropic-ai/sandbox-runtime` as it comes, its library in a process of its own on the Node that it wants. Installed into a folder of its own for the run,
 * from the registry that npm uses.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

const packages = ['@anthropic-ai/sandbox-runtime@0.0.78']
const newestOldNode = 22
const installWithinMs = 240_000
const startWithinMs = 60_000

/** One action for each line that comes: milliseconds from the wrapping of the command to its end. */
const program = `
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { SandboxManager } from '@anthropic-ai/sandbox-runtime'
await SandboxManager.initialize({
  network: { allowedDomains: [], deniedDomains: [] },
  filesystem: { denyRead: [], allowWrite: [], denyWrite: [] },
})
console.log('ready')
for await (const _ of createInterface({ input: process.stdin })) {
  const begun = performance.now()
  const child = spawn(await SandboxManager.wrapWithSandbox('/usr/bin/true'), { shell: true, stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.end()
  const [status] = await once(child, 'close')
  console.log(status === 0 ? performance.now() - begun : NaN)
}
await SandboxManager.reset()
process.exit(0)
`

export interface Runtime {
  /** Milliseconds, by its own clock. */
  once(): Promise<number>
  close(): Promise<void>
}

/** In words why it could not be installed or does not run here. */
export async function sandboxRuntime(peers: Record<string, string>): Promise<Runtime | string> {
  const folder = mkdtempSync(join(tmpdir(), 'clawmesh-bench-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  try {
    const node = await installed(folder)
    const script = join(folder, 'actions.mjs')
    writeFileSync(script, program)
    const child = spawn(node, [script], {
      env: { ...peers, HOME: folder },
      stdio: ['pipe', 'pipe', 'pipe'],
      cwd: folder,
    })
    let said = ''
    child.stderr.on('data', (piece) => {
      said += piece
    })
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const next = async () => {
      const { value, done } = await lines.next()
      if (done) throw new Error(/^\w*Error: .*/m.exec(said)?.[0] ?? 'it ended')
      return String(value)
    }
    const late = setTimeout(() => child.kill('SIGKILL'), startWithinMs)
    try {
      await next()
    } finally {
      clearTimeout(late)
    }
    return {
      once: async () => {
        child.stdin.write('\n')
        return Number(await next())
      },
      close: async () => {
        const ended = once(child, 'exit')
        child.stdin.end()
        await ended
        remove()
      },
    }
  } catch (error) {
    remove()
    return (error as Error).message.split('\n')[0] ?? 'it failed'
  }
}

/** With its dependencies, and with a Node of its own where this one is older; resolves to that Node. */
async function installed(folder: string): Promise<string> {
  writeFileSync(join(folder, 'package.json'), '{}')
  const isOld = Number(process.versions.node.split('.')[0]) < newestOldNode
  const node = `node-linux-${process.arch}`
  const flags = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--no-save']
  const wanted = isOld ? [...packages, `${node}@${newestOldNode}`] : packages
  await promisify(execFile)('npm', [...flags, ...wanted], { cwd: folder, timeout: installWithinMs })
  return isOld ? join(folder, 'node_modules', node, 'bin', 'node') : process.execPath
}
