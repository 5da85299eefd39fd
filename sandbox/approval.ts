/** A question to a person: an action needs more than the policy grants. */
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import { type MeshNode, message } from '../mesh/index.js'
import { ClawmeshError } from '../policies/errors.js'
import { operations } from './opens/change.js'
import { answerWithinMs } from './patience.js'

export const accessSchema = z.object({
  kind: z.enum(['read', 'write', 'execute', 'connect']),
  path: z.string(),
  /** The program that waits for it, where the action has begun. */
  by: z.string().optional(),
  /** What it would do to the name, where that is not to open a file; to a rename or a link belongs the new name, to a symbolic link where it leads, to a mode or times these in words. */
  operation: z.enum(operations).optional(),
  to: z.string().optional(),
  /** Something has the new name, and goes. */
  replaces: z.literal(true).optional(),
})

export const AskApproval = message('approval.ask', {
  request: z.object({
    /** The asker's own. Asked again by the same id, a question is the same one. */
    id: z.string().regex(/^[\w-]{8,64}$/),
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

/** So that an approver who gives up at the last moment is still the one to say so. */
const deliveryMs = 5000
const askAgainMs = 200

/**
 * Nobody there, no answer in time, an answer that cannot be read: each is a refusal. An approver that is lost while a person thinks has the question on
 * record: it is asked again, by the same id, until the time is over.
 */
export async function askPerson(
  node: MeshNode,
  question: Omit<ApprovalQuestion, 'id'>,
  { signal, trace, ...call }: { signal: AbortSignal; deadline: number; trace: string },
): Promise<ApprovalAnswer> {
  const id = randomUUID()
  const deadline = Math.min(call.deadline, node.now() + answerWithinMs + deliveryMs)
  const wasThere = node.directory.locate(approverName) !== undefined
  for (;;) {
    try {
      const options = { signal, trace, deadline, timeoutMs: answerWithinMs + deliveryMs }
      return await node.ref(approverName).ask(AskApproval, { id, ...question }, options)
    } catch (error) {
      const { message: why, retry } = ClawmeshError.from(error)
      if (!wasThere || !retry || signal.aborted || node.now() + askAgainMs >= deadline)
        return { answer: 'refuse', by: `nobody (${why})` }
    }
    await setTimeout(askAgainMs)
  }
}

/** Whose action it is, and what is told with each record of it. */
export interface Holding {
  readonly trace: string
  readonly actor: string
  readonly signal: AbortSignal
  readonly deadline: number
  readonly under?: Readonly<Record<string, unknown>>
}

/** The same, with the question and the answer on the audit trail. */
export async function askOnRecord(
  node: MeshNode,
  question: Omit<ApprovalQuestion, 'id' | 'node'>,
  { trace, actor, signal, deadline, under = {} }: Holding,
): Promise<ApprovalAnswer> {
  const { tool, args, missing } = question
  const facts = { tool, args, missing, ...under }
  await node.audit.record({ kind: 'action.held', trace, actor, facts })
  const answered = await askPerson(node, { node: node.name, ...question }, { signal, deadline, trace })
  await node.audit.record({ kind: 'approval.answered', trace, actor, facts: { ...facts, ...answered } })
  return answered
}
