/** What an MCP client can have the mesh itself do: every tool, what one must be allowed to use it, and what it does. */
import { z } from 'zod'
import type { MeshNode } from '../../../mesh/index.js'
import type { TaskInfo } from '../../../mesh/task/record.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { ToolName, ToolResult } from '../../../sandbox/tools/actions.js'
import { tools } from '../../../sandbox/tools/tools.js'
import { type Workspace, workspaceId } from '../../../sandbox/workspace.js'
import { act } from '../../agents/act.js'
import { rulesOf, sensitivityOfCall } from '../../agents/model/privacy.js'
import type { TaskRuns } from '../rest/tasks.js'
import { nodesOf } from '../rest/view.js'
import { type MeshTool, meshTool, type Result, type Use } from './offered.js'

/** The closed set, each in a sandbox of the mesh under the policy of its node; and, where requests are done here, tasks. */
export function meshTools(node: MeshNode, runs: TaskRuns | undefined): MeshTool[] {
  return [...sandboxedTools(node, runs?.workspace), listNodes(node), ...(runs ? taskTools(runs) : [])]
}

const sandboxedTools = (node: MeshNode, workspace: Workspace | undefined): MeshTool[] =>
  Object.values(tools)
    .filter(({ name }) => name !== ('no_tool' satisfies ToolName))
    .map(({ name, description, args }) =>
      meshTool({
        name,
        description,
        args,
        needs: 'useTool',
        readOnly: name !== 'write_note',
        label: (args) => sensitivityOfCall(rulesOf(node), { name, arguments: args })?.label,
        run: async (given, use) => {
          const { node: by, result } = await acted(node, workspace, name, given, use)
          return { text: result.summary, facts: { ...result, node: by } }
        },
      }),
    )

/** On these files, where some are named. Throws TASK_FAILED for what was refused, denied or failed. */
export async function acted(
  node: MeshNode,
  workspace: Workspace | undefined,
  name: string,
  args: Record<string, unknown>,
  { signal, deadline, trace }: Pick<Use, 'signal' | 'deadline' | 'trace'>,
): Promise<{ node: string; result: ToolResult }> {
  const about = workspace && { workspace: workspaceId(workspace) }
  const { outcome, ...where } = await act(node, { name, arguments: args }, { signal, deadline, trace }, about)
  if (outcome.status === 'done') return { ...where, result: outcome.result }
  throw new ClawmeshError('TASK_FAILED', `${outcome.status} on ${where.node}: ${outcome.reason}`)
}

const listNodes = (node: MeshNode) =>
  meshTool({
    name: 'list_nodes',
    description: 'List the machines of the mesh, what each is for and which model it serves.',
    args: z.strictObject({}),
    needs: 'readNodes',
    readOnly: true,
    run: async () => {
      const { nodes } = nodesOf(node)
      const line = ({ name, roles, model }: (typeof nodes)[number]) =>
        `${name}: ${roles.join(', ')}${model === null ? '' : `, serves ${model}`}`
      return { text: nodes.map(line).join('\n'), facts: { nodes } }
    },
  })

const id = z.string().min(1).max(64).describe('the id of a task')

const taskTools = (runs: TaskRuns): MeshTool[] => [
  meshTool({
    name: 'run_task',
    description:
      'Have the agents of the mesh do a request on the files of its workspace, as a task. If it takes longer than wait_seconds it goes on: show_task tells how far it is.',
    args: z.strictObject({
      request: z.string().min(1).max(4096),
      wait_seconds: z.int().min(0).max(240).default(45),
    }),
    needs: 'beginTask',
    readOnly: false,
    run: async ({ request, wait_seconds }, { subject, signal, progress }) => {
      const id = await runs.begin(request, subject)
      const over = new AbortController()
      const told = progress && runs.tell(id, progress, AbortSignal.any([signal, over.signal]))
      await runs.ended(id, wait_seconds * 1000)
      over.abort()
      await told
      return shown(await runs.find(id))
    },
  }),
  meshTool({
    name: 'list_tasks',
    description: 'List the newest tasks: what was asked, how far each came, how it ended.',
    args: z.strictObject({ most: z.int().min(1).max(100).default(20) }),
    needs: 'readTasks',
    readOnly: true,
    run: async ({ most }) => {
      const newest = (await runs.list()).slice(-most).reverse()
      const tasks = newest.map(factsOf)
      return { text: newest.map(lineOf).join('\n') || 'There are no tasks.', facts: { tasks } }
    },
  }),
  meshTool({
    name: 'show_task',
    description: 'Show one task: what was asked, each step, its outcome.',
    args: z.strictObject({ id }),
    needs: 'readTasks',
    readOnly: true,
    run: async ({ id }) => shown(await runs.find(id)),
  }),
  meshTool({
    name: 'cancel_task',
    description: 'End a task: whoever does it now records nothing more.',
    args: z.strictObject({ id }),
    needs: 'cancelTask',
    readOnly: false,
    run: async ({ id }, { by }) => {
      await runs.cancel(id, by)
      return { text: `Task ${id} is cancelled.` }
    },
  }),
]

/** `on`: whose machines acted. */
const outcomeSchema = z.object({ ok: z.boolean(), answer: z.string(), on: z.array(z.string()).default([]) })
const askedSchema = z.object({ request: z.string() })

export function factsOf({ id, begunAt, state, steps, facts, outcome }: TaskInfo) {
  const end = outcomeSchema.safeParse(outcome).data
  return {
    id,
    begun: new Date(begunAt).toISOString(),
    request: askedSchema.safeParse(facts).data?.request ?? '',
    state: state === 'ended' && end ? (end.ok ? 'done' : 'failed') : state,
    steps: { done: steps.filter((step) => step.state === 'done').length, of: steps.length },
    answer: end?.answer ?? null,
    on: end?.on ?? [],
  }
}

const lineOf = (task: TaskInfo): string => {
  const { id, state, request, answer } = factsOf(task)
  return `${id} ${state}: ${request}${answer === null ? '' : `\n${answer}`}`
}

const shown = (task: TaskInfo): Result => ({
  text: lineOf(task),
  facts: { ...factsOf(task), each: task.steps.map(({ name, state }) => ({ name, state })) },
})
