/** The way out of the actions of a node: its people are asked, its audit trail tells each dial before it happens and what came of it. */
import type { MeshNode } from '../../mesh/index.js'
import { answerOf } from '../answer.js'
import { askOnRecord, type Holding } from '../approval.js'
import type { EgressHooks } from './egress.js'
import type { Resolve } from './resolve.js'

export interface GovernedAction extends Holding {
  readonly tool: string
  readonly args: Readonly<Record<string, unknown>>
  readonly workspace: string
  /** Throws where the policy that the action was begun under is no longer in force: it goes on, and connects nowhere any more. */
  stillHolds?(): void
  /** Waits for a person; left out, as it is. */
  aside?<T>(wait: () => Promise<T>): Promise<T>
}

export function governedEgress(node: MeshNode, resolve: Resolve, action: GovernedAction): EgressHooks {
  const { tool, workspace, trace, actor, under = {} } = action
  const args = { ...action.args }
  const record = { trace, actor }
  return {
    resolve,
    ask: async (access) => {
      action.stillHolds?.()
      const question = () => askOnRecord(node, { tool, args, missing: [access], workspace }, action)
      return answerOf(await (action.aside ? action.aside(question) : question()))
    },
    intend: async (facts) => {
      action.stillHolds?.()
      await node.audit.intend({ kind: 'network.intended', ...record, facts: { tool, ...facts, ...under } })
      // Writing it down takes time.
      action.stillHolds?.()
    },
    // The spool keeps what the stream does not take now; nobody waits for it.
    record: (kind, facts) =>
      void node.audit.record({ kind, ...record, facts: { tool, ...facts, ...under } }).catch(() => undefined),
  }
}
