/** The opens of the actions of a node: its people are asked, its audit trail tells each before it happens and what came of it. */
import type { MeshNode } from '../../mesh/index.js'
import { answerOf } from '../answer.js'
import { askOnRecord } from '../approval.js'
import type { GovernedAction } from '../egress/governed.js'
import type { OpensHooks } from './opens.js'

export function governedOpens(node: MeshNode, action: GovernedAction): OpensHooks {
  const { tool, workspace, trace, actor, under = {} } = action
  const args = { ...action.args }
  const record = { trace, actor }
  return {
    ask: async (access, ended) => {
      action.stillHolds?.()
      const signal = AbortSignal.any([action.signal, ended])
      const question = () => askOnRecord(node, { tool, args, missing: [access], workspace }, { ...action, signal })
      return answerOf(await (action.aside ? action.aside(question) : question()))
    },
    intend: async (facts) => {
      action.stillHolds?.()
      await node.audit.intend({ kind: 'file.intended', ...record, facts: { tool, ...facts, ...under } })
      // Writing it down takes time.
      action.stillHolds?.()
    },
    // The spool keeps what the stream does not take now; nobody waits for it.
    record: (kind, facts) =>
      void node.audit.record({ kind, ...record, facts: { tool, ...facts, ...under } }).catch(() => undefined),
  }
}
