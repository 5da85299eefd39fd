/** The questions of a mesh on one of its nodes: one actor that sandboxes ask, one that people's programs ask. */
import { z } from 'zod'
import { actor, type Context, type MeshNode, on } from '../../mesh/index.js'
import type { Bucket } from '../../mesh/transport/transport.js'
import { AskApproval, approverName } from '../../sandbox/approval.js'
import { Approvals, type ApprovalsOptions } from './approvals.js'
import { Book } from './book.js'
import { approvalsName, DecideApproval, FollowApprovals, ForgetTasks, ListApprovals, RevokeGrant } from './messages.js'

export interface ServeApprovals extends Omit<ApprovalsOptions, 'node' | 'book'> {
  bucket: Bucket
  /** That of the tasks: 32 bytes that supervisors alone have. */
  secret: Uint8Array
}

/** Each asking waits in its handler, and so does each follower. */
const [askingsAtOnce, callsAtOnce] = [1024, 256]

/** The node needs the roles gateway and authority. */
export async function serveApprovals(node: MeshNode, options: ServeApprovals): Promise<Approvals> {
  const { bucket, secret, ...rest } = options
  const approvals = new Approvals({ node, book: new Book(bucket, secret), ...rest })
  await approvals.begin()
  const approver = actor(approverName, () => [on(AskApproval, (asked, context) => approvals.ask(asked, context))], {
    args: z.undefined(),
    concurrency: askingsAtOnce,
  })
  const desk = actor(
    approvalsName,
    ({ signal }) => {
      signal.addEventListener('abort', () => approvals.close())
      return [
        on(ListApprovals, ({ state }) => approvals.list(state)),
        on(FollowApprovals, ({ after, task }, context) => approvals.follow(after, task, context.signal)),
        on(DecideApproval, ({ id, decision, by }, context) => approvals.decide(id, decision, ...who(context, by))),
        on(ForgetTasks, ({ tasks }) => approvals.forgetTasks(new Set(tasks))),
        on(RevokeGrant, async ({ id, by }, context) => {
          await approvals.revoke(id, ...who(context, by))
          return null
        }),
      ]
    },
    { args: z.undefined(), concurrency: callsAtOnce },
  )
  await node.spawn(approver)
  await node.spawn(desk)
  return approvals
}

/** The person, and the node that says so. Only a gateway is believed: any other node speaks for itself. */
function who({ sender }: Context, by: string | undefined): [string, string] {
  const named = sender.roles.includes('gateway') ? by : undefined
  return [named ?? sender.node, sender.node]
}
