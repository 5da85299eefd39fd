/** What people's programs say to the actor that keeps the questions. */
import { z } from 'zod'
import { message, nothing } from '../../mesh/index.js'
import { decisionSchema, grantSchema, viewSchema } from './question.js'

/** Gateways and terminals of the authority's machine vouch for the person; a node with the role approver is one. */
const parties = { from: ['gateway', 'approver'], to: ['authority'] } as const

/** The actor. */
export const approvalsName = 'approvals'

export const ListApprovals = message('approvals.list', {
  request: z.object({ state: z.enum(['open', 'all']) }),
  /** Questions oldest first; of those that were answered, the newest few hundred. */
  reply: z.object({ questions: z.array(viewSchema), grants: z.array(grantSchema) }),
  ...parties,
})

/** What is open now and changed since `after`, a revision, and then whatever changes; each as it is by then. */
export const FollowApprovals = message('approvals.follow', {
  request: z.object({ after: z.int().nonnegative(), task: z.string().optional() }),
  item: viewSchema,
  ...parties,
})

/** Rejects with NOT_FOUND, ALREADY_DECIDED (also when its time is over), AUDIT_UNAVAILABLE. */
export const DecideApproval = message('approvals.decide', {
  request: z.object({
    id: z.string(),
    decision: decisionSchema,
    /** The person, where the sender vouches for one. */
    by: z.string().min(1).max(200).optional(),
  }),
  reply: viewSchema,
  ...parties,
})

/** Whom these tasks are about was erased: what is open of them is refused, and no question or standing answer of them is kept. */
export const ForgetTasks = message('approvals.forget', {
  request: z.object({ tasks: z.array(z.string()).max(1000) }),
  /** The ids of the questions. */
  reply: z.array(z.string()),
  from: ['authority'],
  to: ['authority'],
})

/** Ends an answer that stands. */
export const RevokeGrant = message('approvals.revoke', {
  request: z.object({ id: z.string(), by: z.string().min(1).max(200).optional() }),
  reply: nothing,
  ...parties,
})
