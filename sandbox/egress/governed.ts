/** The way out of the actions of a node: its people are asked, its audit trail tells each dial before it happens and what came of it. */
import type { MeshNode } from '../../mesh/index.js'
import { askPerson } from '../approval.js'
import type { EgressHooks } from './egress.js'
import type { Resolve } from './resolve.js'

export interface GovernedAction {
  readonly tool: string
  readonly args: Readonly<Record<string, unknown>>
  readonly workspace: string
  readonly trace: string
  /** The actor that runs it. */
  readonly actor: string
  readonly signal: AbortSignal
  /** By when the action has to be over. */
  readonly deadline: number
}

export function governedEgress(node: MeshNode, resolve: Resolve, action: GovernedAction): EgressHooks {
  const { tool, workspace, trace, actor, signal, deadline } = action
  const args = { ...action.args }
  const record = { trace, actor }
  return {
    resolve,
    ask: async (access) => {
      const missing = [access]
      await node.audit.record({ kind: 'action.held', ...record, facts: { tool, args, missing } })
      const { answer, by } = await askPerson(
        node,
        { node: node.name, tool, args, missing, workspace },
        { signal, deadline, trace },
      )
      await node.audit.record({ kind: 'approval.answered', ...record, facts: { tool, args, missing, answer, by } })
      return answer
    },
    intend: (facts) => node.audit.intend({ kind: 'network.intended', ...record, facts: { tool, ...facts } }),
    // The spool keeps what the stream does not take now; nobody waits for it.
    record: (kind, facts) =>
      void node.audit.record({ kind, ...record, facts: { tool, ...facts } }).catch(() => undefined),
  }
}
