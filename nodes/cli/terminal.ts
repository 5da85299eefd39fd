/** What a person at the terminal sees while something runs, and is asked. */
import { createInterface, type Interface } from 'node:readline/promises'
import { setTimeout } from 'node:timers/promises'
import { actor, on } from '../../mesh/index.js'
import { type ApprovalAnswer, type ApprovalQuestion, AskApproval, answerWithinMs } from '../../sandbox/approval.js'
import { printable } from './printable.js'

/** A person sits there who sees and can answer. */
export const isTerminal = process.stdin.isTTY === true && process.stderr.isTTY === true

/** How long a terminal takes to hand over what was typed before. */
const typedAheadMs = 100

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
  const terminal = createInterface({ input: process.stdin, output: process.stderr, prompt: '' })
  const timeout = AbortSignal.timeout(answerWithinMs)
  try {
    await forgetTyped(terminal)
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

/** What was typed before a question stood there, say a late answer to the one before it, is no answer to it. */
async function forgetTyped(terminal: Interface): Promise<void> {
  terminal.on('line', () => undefined)
  await setTimeout(typedAheadMs)
  terminal.write(null, { ctrl: true, name: 'u' })
}
