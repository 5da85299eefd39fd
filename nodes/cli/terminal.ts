/** What a person at the terminal sees while something runs, and is asked. */
import { createInterface } from 'node:readline/promises'
import { actor, on } from '../../mesh/index.js'
import { type ApprovalAnswer, type ApprovalQuestion, AskApproval, answerWithinMs } from '../../sandbox/approval.js'
import { printable } from './printable.js'

const isTerminal = process.stdin.isTTY === true && process.stderr.isTTY === true

/** Progress goes to stderr: stdout is for answers. */
export function progress(text: string): void {
  const line = printable(text)
  process.stderr.write(isTerminal ? `\u001b[2m· ${line}\u001b[0m\n` : `· ${line}\n`)
}

/** Brings held actions to the person, one at a time. Where nobody sits at a terminal, the answer is no. */
export const approver = actor('approver', () => [
  on(AskApproval, (question, { signal }) => askPerson(question, signal)),
])

async function askPerson(question: ApprovalQuestion, signal: AbortSignal): Promise<ApprovalAnswer> {
  const wish = question.missing.map(({ kind, path }) => `${kind} "${printable(path)}"`).join(' and ')
  progress(`held: ${question.tool} on ${question.node} wants to ${wish}`)
  if (!isTerminal) return { answer: 'refuse', by: 'nobody: clawmesh does not run at a terminal' }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const timeout = AbortSignal.timeout(answerWithinMs)
  try {
    const typed = await terminal.question(
      `  The policy does not grant it. Allow it this once? [y/N, within ${answerWithinMs / 1000} s] `,
      {
        signal: AbortSignal.any([signal, timeout]),
      },
    )
    const answer = /^y(es)?$/i.test(typed.trim()) ? 'allow' : 'refuse'
    return { answer, by: 'the person at the terminal' }
  } catch {
    process.stderr.write('\n')
    progress('not answered in time: refused')
    return { answer: 'refuse', by: 'nobody: the question was not answered in time' }
  } finally {
    terminal.close()
  }
}
