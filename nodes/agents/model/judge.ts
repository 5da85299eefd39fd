/** The model that the router rules have judge what leaves, as far as the nodes that are there say who serves it. Pure. */
import type { NodeInfo } from '../../../mesh/index.js'
import { parseRouterRules } from '../../../policies/router.js'
import { elsewhereOf } from '../../elsewhere.js'
import { candidatesOf } from './candidate.js'

/** Its name where no node serves it: what it cannot be asked of does not leave. */
export function unservedJudge(nodes: readonly NodeInfo[]): string | undefined {
  const elsewhere = elsewhereOf(nodes)
  const judge = elsewhere && parseRouterRules(elsewhere.rules, 'the router rules of the mesh').judge?.model
  if (judge === undefined) return undefined
  return candidatesOf(nodes).some(({ model, zone }) => zone === 'mesh' && model === judge) ? undefined : judge
}
