/** Three workers with sandboxes, a file that they may be asked about, and a model server that answers as a test says. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { OpenAiBackend } from '../../../inference/openai/backend.js'
import { addressesOf } from '../../../mesh/address.js'
import type { MeshNode } from '../../../mesh/index.js'
import { openTasks, type Tasks } from '../../../mesh/task/tasks.js'
import { worker } from '../../../nodes/agents/job/worker.js'
import { serveModel } from '../../../nodes/process/serve.js'
import { parseProfile } from '../../../policies/profile.js'
import { sandboxName, sandboxService } from '../../../sandbox/service.js'
import { workspaceId } from '../../../sandbox/workspace.js'
import { recorded, serve, stream } from '../../inference/openai/server.js'
import { memoryMesh, type TestMesh, temporaryFolder } from '../../kit/mesh.js'

export const said = (delta: object, reason: string) =>
  `data: ${JSON.stringify({ choices: [{ delta, finish_reason: reason }] })}\n\ndata: [DONE]\n\n`
export const called = (name: string, args: object) =>
  said({ tool_calls: [{ index: 0, function: { name, arguments: JSON.stringify(args) } }] }, 'tool_calls')

export interface Crew {
  readonly mesh: TestMesh
  readonly tasks: Tasks
  readonly workspace: string
  /** The same, as `workspaceId` names it. */
  readonly about: string
  readonly files: () => string[]
  readonly workers: string[]
  /** Bodies of the requests that the model server got. */
  readonly asked: readonly string[]
  dismiss(): Promise<void>
}

export async function raiseCrew(answer: (words: string) => string | Promise<string>): Promise<Crew> {
  const undo: (() => unknown)[] = []
  const workspace = temporaryFolder()
  undo.push(() => rmSync(workspace, { recursive: true, force: true }))
  writeFileSync(join(workspace, 'a.csv'), 'date,receipt,amount,currency\n2026-07-01,R-1,12.50,EUR\n')
  const server = await serve(await recorded('vllm/models.json'), async (response, body) => {
    const { messages } = JSON.parse(body) as { messages: { content: string }[] }
    await stream(await answer(messages.at(-1)?.content ?? ''))(response, body)
  })
  undo.push(() => server.close())
  const mesh = await memoryMesh()
  undo.push(() => mesh.close())
  const model = await mesh.join('model', { roles: ['inference'] })
  await serveModel(model, await OpenAiBackend.open({ url: server.url }))
  const workers = ['one', 'two', 'three']
  const profile = parseProfile('filesystem_policy: { read_only: [.] }')
  const about = workspaceId({ folder: workspace })
  for (const name of workers) {
    const advert = { sandbox: true, workspace: about }
    const node: MeshNode = await mesh.join(name, { roles: ['worker', 'sandbox'], advert })
    await node.spawn(sandboxService(node, { workspace, profile }), { as: sandboxName(name) })
    await node.spawn(worker(node), { as: name })
  }
  const { authority } = mesh
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const tasks = await openTasks({ transport: await mesh.connect(), addresses, key: authority.tasksKey, by: 'test' })
  const dismiss = async () => {
    for (const step of undo.reverse()) await step()
  }
  return { mesh, tasks, workspace, about, files: () => ['a.csv'], workers, asked: server.asked, dismiss }
}
