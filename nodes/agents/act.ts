/** How an agent acts: one tool of the closed set, in a sandbox of the mesh, on the files that are meant. */
import type { ToolCall } from '../../inference/tool.js'
import type { CallOptions, MeshNode, NodeInfo } from '../../mesh/index.js'
import { ClawmeshError } from '../../policies/errors.js'
import { type ActionOutcome, RunAction, sandboxName } from '../../sandbox/service.js'

export interface Acting {
  /** Which files are meant, as `workspaceId` names them; null: none. Left out: those of this node, and where it has none, of the only workspace of the mesh. */
  workspace?: string | null | undefined
  /** Whether it may use what the policy lets through; it may, if left out. */
  network?: boolean
}

export interface Acted {
  /** Whose sandbox it was. */
  node: string
  outcome: ActionOutcome
}

/** Throws SANDBOX_UNAVAILABLE where no node can, UNREACHABLE where none has these files now, USAGE where it is not said which files are meant, and what RunAction answers. */
export async function act(
  node: MeshNode,
  call: ToolCall,
  options: CallOptions,
  { workspace, network = true }: Acting = {},
): Promise<Acted> {
  const { name, advert } = chooseSandbox(node, call, workspace)
  const files = typeof workspace === 'string' && advert['workspace'] === workspace && { workspace }
  const request = { tool: call.name, args: call.arguments, network, ...files }
  return { node: name, outcome: await node.ref(sandboxName(name)).ask(RunAction, request, options) }
}

/** That of this node itself, if it will do. */
function chooseSandbox(node: MeshNode, call: ToolCall, workspace: Acting['workspace']): NodeInfo {
  const all = sandboxesOf(node)
  const [first, ...others] = all
  if (!first) throw noSandbox()
  const own = all.find(({ name }) => name === node.name)
  if (typeof workspace === 'string') {
    const having = all.filter(({ advert }) => advert['workspace'] === workspace)
    const chosen = having.find((each) => each === own) ?? having[0]
    if (chosen) return chosen
    if (withoutFiles.has(call.name)) return own ?? first
    throw new ClawmeshError('UNREACHABLE', 'No node that can act has the files that this is about now.', {
      hint: 'The machine whose workspace they lie in must be there: see `clawmesh nodes`.',
    })
  }
  if (own || workspace === null || withoutFiles.has(call.name)) return own ?? first
  if (others.every(({ advert }) => advert['workspace'] === first.advert['workspace'])) return first
  throw new ClawmeshError(
    'USAGE',
    `It is not said whose files ${call.name} is about: ${all.map(({ name }) => name).join(', ')} have workspaces that differ.`,
    { hint: 'Act on a node with a workspace of its own, or say which is meant.' },
  )
}

export const noSandbox = () =>
  new ClawmeshError('SANDBOX_UNAVAILABLE', 'No node in the mesh can hold an action in a sandbox.', {
    hint: 'Each node says in its log why it does not offer the sandbox role.',
  })

/** For these any sandbox will do. */
const withoutFiles = new Set(['calculate', 'http_fetch', 'no_tool'])

export const sandboxesOf = (node: MeshNode): NodeInfo[] =>
  node.nodes().filter(({ advert, draining }) => advert['sandbox'] === true && !draining)
