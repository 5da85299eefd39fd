/** A secret of a person's, for a command that keeps it. */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { ClawmeshError } from '../../policies/errors.js'

/** Never an argument, which every program of the machine can read, nor in the environment, which programs hand on. `what`: "The key of frontier". Throws USAGE for none. */
export async function readSecret(what: string): Promise<string> {
  const typed = process.stdin.isTTY ? await askHidden(`${what} (it is not shown): `) : readFileSync(0, 'utf8')
  const secret = typed.trim()
  if (secret !== '') return secret
  throw new ClawmeshError('USAGE', 'There is no key.', { hint: 'Type it, or pipe it in: … NAME … < FILE' })
}

/** Several, in this order: each is asked for, or has a line of its own where they are piped in. Throws USAGE where there are more or fewer. */
export async function readSecrets(whats: readonly string[]): Promise<string[]> {
  if (whats.length < 2 || process.stdin.isTTY) {
    const typed: string[] = []
    for (const what of whats) typed.push(await readSecret(what))
    return typed
  }
  const lines = readFileSync(0, 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  if (lines.length === whats.length) return lines
  throw new ClawmeshError('USAGE', `There are ${lines.length} lines, and ${whats.length} secrets are wanted.`, {
    hint: `Pipe in, each on a line of its own: ${whats.join('; ')}.`,
  })
}

async function askHidden(question: string): Promise<string> {
  process.stderr.write(question)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  try {
    return await terminal.question('')
  } finally {
    terminal.close()
    process.stderr.write('\n')
  }
}
