/** Who works in the mesh: each actor that has a name there, the node that it runs on, and what each node can start. As the directory has it; members write that, so it is their word. */
import { z } from 'zod'
import type { Directory } from '../mesh/directory.js'
import { officeName } from '../mesh/mail/messages.js'
import { approverName } from '../sandbox/approval.js'
import { approvalsName } from './approvals/messages.js'

export const rosterSchema = z.object({
  agents: z.array(
    z.object({
      name: z.string(),
      node: z.string(),
      /** `agent`: does somebody's work. `task`: holds a task's name while it is done. `service`: what a node is always there for: its sandbox, its models, the desk for approvals, the office that keeps mail. */
      kind: z.enum(['agent', 'task', 'service']),
    }),
  ),
  /** By what a supervisor can have started, the nodes that would. */
  hosted: z.array(z.object({ definition: z.string(), nodes: z.array(z.string()) })),
})
export type Roster = z.output<typeof rosterSchema>

const hostsSchema = z.array(z.string())
const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)

/** Pure but for the look at the directory. */
export function rosterOf(directory: Pick<Directory, 'actors' | 'nodes'>): Roster {
  const hosts = new Map<string, string[]>()
  for (const { name, advert } of directory.nodes().sort(byName))
    for (const definition of hostsSchema.safeParse(advert['hosts']).data ?? [])
      hosts.set(definition, [...(hosts.get(definition) ?? []), name])
  const agents = directory.actors().map(({ name, node }) => ({ name, node, kind: kindOf(name, node) }))
  return {
    agents: agents.sort(byName),
    hosted: [...hosts].map(([definition, nodes]) => ({ definition, nodes })),
  }
}

/** What a node runs about itself is named WHAT/NODE; a task's name is task/ID. */
function kindOf(name: string, node: string): Roster['agents'][number]['kind'] {
  if (name.startsWith('task/')) return 'task'
  const isOfNode = name.endsWith(`/${node}`) || /^(mcp|mcp-desk|catalog)\//.test(name)
  return isOfNode || name === approverName || name === approvalsName || name === officeName ? 'service' : 'agent'
}
