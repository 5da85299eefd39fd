/**
 * What an MCP client can read of the mesh itself: the files of its workspace, each through the tool `read_file` in a sandbox under the policy of its node,
 * and tasks, which say by themselves when they go on.
 */
import { z } from 'zod'
import type { MeshNode } from '../../../mesh/index.js'
import { mesh } from '../../../policies/people.js'
import { sensitivityOfFile } from '../../../policies/router.js'
import type { Workspace } from '../../../sandbox/workspace.js'
import { rulesOf } from '../../agents/model/privacy.js'
import { fillTemplate } from '../../catalog/template.js'
import type { TaskRuns } from '../rest/tasks.js'
import { acted, factsOf } from './mesh-tool.js'
import type { Listed, MeshResource, Use } from './offered.js'

const files = 'clawmesh://workspace/{+path}'
const tasks = 'clawmesh://tasks/{id}'
const mostListed = 100

export function meshResources(node: MeshNode, runs: TaskRuns | undefined): MeshResource[] {
  return [workspaceFiles(node, runs?.workspace), ...(runs ? [taskRecords(runs)] : [])]
}

const entriesSchema = z.array(z.object({ name: z.string(), kind: z.string() }))

const workspaceFiles = (node: MeshNode, workspace: Workspace | undefined): MeshResource => {
  const entriesOf = async (folder: string | undefined, use: Use) => {
    const args = folder === undefined ? {} : { path: folder }
    const { entries } = (await acted(node, workspace, 'list_files', args, use)).result
    const before = folder === undefined ? '' : `${folder}/`
    return entriesSchema.parse(entries).map(({ name, kind }) => ({ path: `${before}${name}`, kind }))
  }
  return {
    uri: files,
    name: 'file',
    description: 'A text file of the workspace.',
    mimeType: 'text/plain',
    right: (places) => ({
      needs: 'useTool',
      on: { type: 'Tool', id: 'read_file' },
      label: places && sensitivityOfFile(rulesOf(node), places['path'] ?? '')?.label,
    }),
    read: async (uri, { path = '' }, use) => {
      const { result } = await acted(node, workspace, 'read_file', { path }, use)
      return [{ uri, mimeType: 'text/plain', text: String(result['text']) }]
    },
    list: async (use) =>
      (await entriesOf(undefined, use))
        .filter(({ kind }) => kind === 'file')
        .slice(0, mostListed)
        .map(({ path }): Listed => ({ uri: fillTemplate(files, { path }), name: path, mimeType: 'text/plain' })),
    complete: async (_, typed, use) => {
      const folder = typed.includes('/') ? typed.slice(0, typed.lastIndexOf('/')) : undefined
      return (await entriesOf(folder, use))
        .map(({ path, kind }) => (kind === 'folder' ? `${path}/` : path))
        .filter((path) => path.startsWith(typed))
    },
  }
}

const taskRecords = (runs: TaskRuns): MeshResource => ({
  uri: tasks,
  name: 'task',
  description: 'A task: what was asked, each step, its outcome. Whoever subscribes to it is told of each step.',
  mimeType: 'application/json',
  right: (places) => ({
    needs: 'readTasks',
    on: places?.['id'] === undefined ? mesh : { type: 'Task', id: places['id'] },
  }),
  read: async (uri, { id = '' }) => {
    const task = await runs.find(id)
    const each = task.steps.map(({ name, state }) => ({ name, state }))
    return [{ uri, mimeType: 'application/json', text: JSON.stringify({ ...factsOf(task), each }) }]
  },
  list: async () =>
    (await runs.list())
      .slice(-mostListed)
      .reverse()
      .map((task): Listed => {
        const { id, request, state } = factsOf(task)
        const description = `${state}: ${request.slice(0, 200)}`
        return { uri: fillTemplate(tasks, { id }), name: id, description, mimeType: 'application/json' }
      }),
  complete: async (_, typed) => (await runs.list()).map(({ id }) => id).filter((id) => id.startsWith(typed)),
  changes: ({ id = '' }, signal) => runs.changes(id, signal),
})
