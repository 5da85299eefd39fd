/**
 * The one program that runs inside the sandbox for every tool: `{"tool": NAME, "args": {…}}` on standard input, one line of JSON on
 * standard output: `{"result": {…}}`, or `{"error": "…"}` and status 1. The arguments were checked outside.
 */
import { existsSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { ActionError } from './actions/error.js'
import { actions, type ToolName, type ToolResult } from './actions.js'
import type { GeneralActions } from './general-actions.js'

const explanations: Record<string, string> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be used',
  EPERM: 'may not be used',
  EROFS: 'may not be written',
  EISDIR: 'is a folder',
  ENOTDIR: 'is not a folder',
  EFBIG: 'would become larger than allowed',
  ENOSPC: 'does not fit on the disk',
}

/** Loading what is not used would take a tenth of the time of an action. */
const isOfSet = (tool: string): tool is ToolName => Object.hasOwn(actions, tool)

async function run(): Promise<{ result: ToolResult } | { error: string }> {
  try {
    const { tool, args }: { tool: ToolName | keyof GeneralActions; args: never } = JSON.parse(readFileSync(0, 'utf8'))
    if (isOfSet(tool)) return { result: await actions[tool](args) }
    const { generalActions } = await import('./general-actions.js')
    return { result: await generalActions[tool](args) }
  } catch (error) {
    return { error: explain(error) }
  }
}

function explain(error: unknown): string {
  if (error instanceof ActionError) return error.message
  if (error instanceof Error && 'code' in error && 'path' in error) {
    const why = explanations[String(error.code)]
    const { path } = error as { path: string }
    // A file that is to be made is not what is missing.
    const isMade =
      error.code === 'ENOENT' && 'syscall' in error && error.syscall === 'open' && !existsSync(dirname(path))
    if (isMade) return `The folder ${dirname(path)} does not exist.`
    if (why) return `${path} ${why}.`
  }
  return error instanceof Error ? error.message : String(error)
}

const answer = await run()
process.exitCode = 'error' in answer ? 1 : 0
let line = Buffer.from(`${JSON.stringify(answer)}\n`)
// A pipe may take less than all at once.
while (line.length > 0) line = line.subarray(writeSync(1, line))
