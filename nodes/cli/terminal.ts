/** What a person at the terminal sees while something runs. */
import { printable } from './printable.js'

/** A person sits there who sees and can answer. */
export const isTerminal = process.stdin.isTTY === true && process.stderr.isTTY === true

/** Progress goes to stderr: stdout is for answers. */
export function progress(text: string): void {
  const line = printable(text)
  process.stderr.write(isTerminal ? `\u001b[2m· ${line}\u001b[0m\n` : `· ${line}\n`)
}
