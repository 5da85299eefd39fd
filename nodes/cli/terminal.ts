/** What a person at the terminal sees while something runs. */
import { createInterface, type Interface } from 'node:readline/promises'
import { asTyped } from './as-typed.js'
import { printable } from './printable.js'

/** A person sits there who sees and can answer. */
export const isTerminal = process.stdin.isTTY === true && process.stderr.isTTY === true

/** What is to be said later. */
let held: string[] | undefined

/** Progress goes to stderr: stdout is for answers. Commands in it are told as they must be typed. */
export function progress(text: string): void {
  const line = printable(asTyped(text))
  if (held) held.push(line)
  else write(line)
}

function write(line: string): void {
  process.stderr.write(isTerminal ? `\u001b[2m· ${line}\u001b[0m\n` : `· ${line}\n`)
}

/** What `work` has said meanwhile is said when it is done: a question that stands there would have it in its answer. */
export async function sayAfter<T>(work: () => Promise<T>): Promise<T> {
  held = []
  try {
    return await work()
  } finally {
    const said = held
    held = undefined
    for (const line of said) write(line)
  }
}

/** Asks the person who sits here; undefined if the signal comes first. `prepare` gets the terminal before the question stands there. */
export async function question(
  text: string,
  signal: AbortSignal,
  prepare: (terminal: Interface) => Promise<void> = async () => undefined,
): Promise<string | undefined> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr, prompt: '' })
  // Readline takes Ctrl-C for itself.
  terminal.on('SIGINT', () => process.emit('SIGINT', 'SIGINT'))
  try {
    await prepare(terminal)
    return await terminal.question(text, { signal })
  } catch {
    process.stderr.write('\n')
    return undefined
  } finally {
    terminal.close()
  }
}
