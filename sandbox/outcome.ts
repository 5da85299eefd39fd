/** What came of a tool call: of a launch, in the words of a tool. */
import { ClawmeshError } from '../policies/errors.js'
import type { Access } from '../policies/profile.js'
import type { DeedFacts } from './deeds.js'
import type { ActionOutcome } from './launch.js'
import type { ToolResult } from './tools/actions.js'
import type { Tool } from './tools/tool.js'

export type Usage = Pick<ActionOutcome, 'wallMs' | 'cpuMs' | 'maxRssKb'>

export type ToolOutcome =
  | {
      readonly status: 'done'
      readonly result: ToolResult
      readonly granted: readonly Access[]
      readonly usage: Usage
      readonly deeds: DeedFacts
    }
  | { readonly status: 'refused' | 'denied'; readonly missing: readonly Access[]; readonly reason: string }
  | {
      readonly status: 'failed'
      /** What went wrong, for the person. */
      readonly reason: string
      readonly exitCode: number | null
      readonly signal: number | null
      readonly timedOut: boolean
      readonly killed: boolean
      readonly stderr: string
      readonly usage: Usage
      readonly deeds: DeedFacts
    }

/**
 * @param granted what a person allowed beyond the policy
 * @throws ClawmeshError DEADLINE where the action was stopped from outside until its time was over
 */
export function toolOutcome(
  { name, program }: Tool,
  outcome: ActionOutcome,
  granted: readonly Access[],
  deeds: DeedFacts,
): ToolOutcome {
  const { exitCode, signal, timedOut, killed, wallMs, cpuMs, maxRssKb } = outcome
  if (timedOut && outcome.stopped)
    throw new ClawmeshError(
      'DEADLINE',
      `${name} was stopped from outside (by SIGSTOP or its like) until the policy's time was over; what it had done by then is not known.`,
      { hint: 'Do it again, and let its process run.' },
    )
  const usage = { wallMs, cpuMs, maxRssKb }
  const stderr = outcome.stderr.toString()
  const failed = (reason: string): ToolOutcome => ({
    status: 'failed',
    reason,
    exitCode,
    signal,
    timedOut,
    killed,
    stderr,
    usage,
    deeds,
  })
  if (timedOut) return failed('it took longer than the policy allows')
  if (outcome.overMemory) return failed('its processes together took more memory than the policy allows')
  if (outcome.truncated) return failed('it printed more than the policy allows (limits.output_bytes)')
  if (killed) return failed('it was cancelled')
  const answer = program ? programAnswer(outcome) : toolAnswer(outcome)
  if (answer && 'result' in answer) return { status: 'done', result: answer.result, granted, usage, deeds }
  if (answer && 'error' in answer) return failed(answer.error)
  return failed(signal === null ? `it ended with status ${exitCode}` : `signal ${signal} ended it`)
}

type ToolAnswer = { readonly result: ToolResult } | { readonly error: string }

/** What our program prints; undefined for anything else, since the sandbox may have ended it in the middle. */
function toolAnswer({ stdout, exitCode }: ActionOutcome): ToolAnswer | undefined {
  try {
    const answer: unknown = JSON.parse(stdout.toString())
    if (typeof answer !== 'object' || answer === null) return undefined
    if ('error' in answer && typeof answer.error === 'string') return { error: answer.error }
    if (exitCode !== 0 || !('result' in answer) || typeof answer.result !== 'object' || answer.result === null)
      return undefined
    return 'summary' in answer.result && typeof answer.result.summary === 'string'
      ? { result: { ...answer.result, summary: answer.result.summary } }
      : undefined
  } catch {
    return undefined
  }
}

const mostOutput = 65_536

/** Any other program: it did what it did, and its status is a fact like its output. */
function programAnswer({ exitCode, signal, stdout, stderr }: ActionOutcome): ToolAnswer {
  const [output, errors] = [stdout, stderr].map((bytes) => cut(bytes.toString(), mostOutput)) as [string, string]
  const end = signal === null ? `status ${exitCode}` : `ended by signal ${signal}`
  const text = [end, output, errors && `standard error:\n${errors}`].filter((part) => part !== '').join('\n')
  return { result: { exitCode, signal, output, errors, text, summary: end } }
}

const cut = (text: string, most: number) => (text.length > most ? `${text.slice(0, most)}\n…` : text)
