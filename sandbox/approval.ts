/** A question to a person: an action needs more than the policy grants. */
import { z } from 'zod'
import { type MeshNode, message } from '../mesh/index.js'
import { ClawmeshError } from '../policies/errors.js'

export const accessSchema = z.object({ kind: z.enum(['read', 'write', 'execute']), path: z.string() })

export const AskApproval = message('approval.ask', {
  request: z.object({
    node: z.string(),
    tool: z.string(),
    args: z.record(z.string(), z.unknown()),
    /** What a yes would add, for this one action. */
    missing: z.array(accessSchema),
    workspace: z.string(),
  }),
  reply: z.object({
    answer: z.enum(['allow', 'refuse']),
    /** Who answered, or why nobody did. */
    by: z.string(),
  }),
  from: ['sandbox'],
  to: ['gateway'],
})
export type ApprovalQuestion = z.output<(typeof AskApproval)['request']>
export type ApprovalAnswer = z.output<(typeof AskApproval)['reply']>

/** The actor that brings questions to people. */
export const approverName = 'approver'

/** An unanswered question is a refusal. */
export const answerWithinMs = 60_000

/** So that an approver who gives up at the last moment is still the one to say so. */
const deliveryMs = 5000

/** Nobody there, no answer in time, an answer that cannot be read: each is a refusal. */
export async function askPerson(
  node: MeshNode,
  question: ApprovalQuestion,
  call: { signal: AbortSignal; deadline: number; trace: string },
): Promise<ApprovalAnswer> {
  try {
    return await node.ref(approverName).ask(AskApproval, question, { ...call, timeoutMs: answerWithinMs + deliveryMs })
  } catch (error) {
    return { answer: 'refuse', by: `nobody (${ClawmeshError.from(error).message})` }
  }
}
