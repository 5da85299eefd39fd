/** A question to people, what they may say to it, and what standing answers reach. Pure. */
import { z } from 'zod'
import { accessSchema } from '../../sandbox/approval.js'

export const longestGrantMs = 24 * 60 * 60 * 1000
export const mostUses = 1000

/**
 * How far an answer reaches: this action, whatever of the kind its task asks for, whatever of the kind comes within a time, or so many actions of the
 * kind, this one counted.
 */
const reachSchema = z.enum(['once', 'session', 'time', 'uses'])
export const decisionSchema = z
  .strictObject({
    answer: z.enum(['allow', 'refuse']),
    reach: reachSchema.default('once'),
    /** For `time`. */
    forMs: z.int().positive().max(longestGrantMs).optional(),
    /** For `uses`. */
    uses: z.int().min(2).max(mostUses).optional(),
  })
  .refine(({ reach, forMs }) => (reach === 'time') === (forMs !== undefined), 'time, and time alone, needs forMs')
  .refine(({ reach, uses }) => (reach === 'uses') === (uses !== undefined), 'uses, and uses alone, needs their number')
  .refine(
    ({ answer, reach }) => answer === 'allow' || (reach !== 'time' && reach !== 'uses'),
    'a refusal is for once or for the session',
  )
export type Decision = z.output<typeof decisionSchema>

const verdictSchema = z.object({
  answer: z.enum(['allow', 'refuse']),
  reach: reachSchema,
  /** For `time`. */
  forMs: z.int().optional(),
  /** For `uses`. */
  uses: z.int().optional(),
  /** The approver's name, or why nobody answered. */
  by: z.string(),
  /** The node that brought the answer; the desk's own where nobody did. */
  via: z.string(),
  /** Milliseconds since 1970. */
  at: z.number(),
})
export type Verdict = z.output<typeof verdictSchema>

export const questionSchema = z.object({
  id: z.string(),
  /** Empty for what belongs to none. */
  task: z.string(),
  /** Where the action would run, by its certificate. */
  node: z.string(),
  tool: z.string(),
  args: z.record(z.string(), z.unknown()),
  missing: z.array(accessSchema),
  workspace: z.string(),
  /** Milliseconds since 1970. */
  askedAt: z.number(),
  deadline: z.number(),
  /** Null while it is open. */
  verdict: verdictSchema.nullable(),
  /** The key of the person whom its task is about, in hex: what a later process records of it is about the same. */
  about: z.string().optional(),
})
export type Question = z.output<typeof questionSchema>

/** A question as people see it. */
export const viewSchema = questionSchema.omit({ about: true }).extend({
  /** What a yes adds to the policy of the action, before that begins; nothing where it runs. */
  adds: z.object({ read_only: z.array(z.string()), read_write: z.array(z.string()) }),
  /** How many more actions of its task wait for the same, and how many for something else. */
  folded: z.int(),
  behind: z.int(),
  /** Grows with each question and answer of the mesh. */
  revision: z.int(),
})
export type View = z.output<typeof viewSchema>

/** An answer that stands. It lives as long as the process that holds it: what is forgotten is asked again. */
export const grantSchema = z.object({
  id: z.string(),
  answer: z.enum(['allow', 'refuse']),
  by: z.string(),
  /** Null: of any task. */
  task: z.string().nullable(),
  /** Null: whatever the task asks for. */
  action: z
    .object({ node: z.string(), workspace: z.string(), tool: z.string(), missing: z.array(accessSchema) })
    .nullable(),
  /** Milliseconds since 1970. */
  since: z.number(),
  until: z.number(),
  uses: z.int(),
  /** Null: any number. */
  most: z.int().nullable(),
})
export type Grant = z.output<typeof grantSchema>

/** A running action waits for it: a yes lets that do this, and leaves its policy as it is. */
export const isOfRunning = ({ kind, by }: Question['missing'][number]): boolean =>
  kind === 'connect' || by !== undefined

/** As the policy's `filesystem_policy` would spell them. */
export function additions(missing: Question['missing']): View['adds'] {
  const paths = (...kinds: Question['missing'][number]['kind'][]) =>
    missing.filter((access) => kinds.includes(access.kind) && !isOfRunning(access)).map(({ path }) => path)
  return { read_only: paths('read', 'execute'), read_write: paths('write') }
}

/** Undefined for what answers one action. A refusal for the session is of all that the task asks for. */
export function grantOf(question: Question, verdict: Verdict): Grant | undefined {
  const { id, task, node, workspace, tool, missing } = question
  const { answer, reach, forMs, uses, by, at } = verdict
  if (reach === 'once') return undefined
  return {
    id,
    answer,
    by,
    task: reach === 'session' ? task : null,
    action: answer === 'allow' ? { node, workspace, tool, missing } : null,
    since: at,
    until: at + (forMs ?? longestGrantMs),
    uses: 0,
    // The action that was asked about is the first.
    most: uses === undefined ? null : uses - 1,
  }
}

/** It is over: its time, or the number of its uses. */
export const isSpent = ({ until, uses, most }: Grant, now: number): boolean =>
  now >= until || (most !== null && uses >= most)

export function reaches(grant: Grant, question: Question, now: number): boolean {
  const { task, action } = grant
  if (isSpent(grant, now) || (task !== null && task !== question.task)) return false
  if (!action) return true
  const isSamePlace = action.node === question.node && action.workspace === question.workspace
  return isSamePlace && action.tool === question.tool && question.missing.every((one) => isListed(one, action.missing))
}

/** What was answered of one program that ran is an answer to that program alone, and of a change of a name to that change. */
const isListed = (
  { kind, path, by, operation, to, replaces }: Question['missing'][number],
  list: Question['missing'],
) =>
  list.some(
    (access) =>
      access.kind === kind &&
      access.path === path &&
      access.operation === operation &&
      access.to === to &&
      (access.replaces ?? false) === (replaces ?? false) &&
      (access.by === undefined || access.by === by),
  )

/** Whether two askings are for the very same action of one task. */
export const isSame = (one: Question, other: Question): boolean => keyOf(one) === keyOf(other)

const keyOf = ({ task, node, tool, args, missing, workspace }: Question) =>
  JSON.stringify([task, node, tool, args, missing, workspace])
