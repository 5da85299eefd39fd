/** Runs the shipped command as a person would, and collects what it says. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { installation } from '../../mesh/installation.js'

export interface CommandResult {
  status: number | null
  stdout: string
  stderr: string
  /** The last line of stdout: where --json puts its object. */
  lastLine: string
}

export const program = join(installation, 'dist', 'nodes', 'cli', 'main.js')

export function runCommand(
  args: string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<CommandResult> {
  // The runner's own variables would make a child of node:test out of the command, and npm's would have it look elsewhere for files.
  const { NODE_TEST_CONTEXT: _, INIT_CWD: __, ...inherited } = process.env
  const env = { ...inherited, ...options.env }
  const child = spawn(process.execPath, [program, ...args], {
    env,
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) =>
      resolve({ status, stdout, stderr, lastLine: stdout.trimEnd().split('\n').at(-1) ?? '' }),
    )
  })
}
