/** How an agent acts: one tool of the closed set, in a sandbox of the mesh. */
import type { ToolCall } from '../../inference/tool.js'
import type { CallOptions, MeshNode } from '../../mesh/index.js'
import { ClawmeshError } from '../../policies/errors.js'
import { type ActionOutcome, RunAction, sandboxName } from '../../sandbox/service.js'

/**
 * This node's own sandbox if it has one, else any other's. `network`: whether it may use what the policy lets through; it may, if left out.
 * Throws SANDBOX_UNAVAILABLE if there is none, and what RunAction answers.
 */
export async function act(
  node: MeshNode,
  call: ToolCall,
  options: CallOptions & { network?: boolean },
): Promise<ActionOutcome> {
  const { network = true } = options
  const able = node.nodes().filter(({ advert, draining }) => advert['sandbox'] === true && !draining)
  const chosen = able.find(({ name }) => name === node.name) ?? able[0]
  if (!chosen) {
    throw new ClawmeshError('SANDBOX_UNAVAILABLE', 'No node in the mesh can hold an action in a sandbox.', {
      hint: 'Each node says in its log why it does not offer the sandbox role.',
    })
  }
  return node.ref(sandboxName(chosen.name)).ask(RunAction, { tool: call.name, args: call.arguments, network }, options)
}
