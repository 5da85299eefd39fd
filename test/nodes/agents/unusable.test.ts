/** What a model cannot do is found out once: worker, voters and supervisor over a real server, whose answers are of no use. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, it } from 'node:test'
import { OpenAiBackend } from '../../../inference/openai/backend.js'
import { addressesOf } from '../../../mesh/address.js'
import type { MeshNode } from '../../../mesh/index.js'
import { openTasks } from '../../../mesh/task/tasks.js'
import { type JobResult, runJob } from '../../../nodes/agents/job/job.js'
import { worker } from '../../../nodes/agents/job/worker.js'
import { serveModel } from '../../../nodes/process/serve.js'
import { parseProfile } from '../../../policies/profile.js'
import { sandboxName, sandboxService } from '../../../sandbox/service.js'
import { recorded, serve, stream } from '../../inference/openai/server.js'
import { memoryMesh, temporaryFolder } from '../../kit/mesh.js'

const said = (delta: object, reason: string) =>
  `data: ${JSON.stringify({ choices: [{ delta, finish_reason: reason }] })}\n\ndata: [DONE]\n\n`
const called = (name: string, args: object) =>
  said({ tool_calls: [{ index: 0, function: { name, arguments: JSON.stringify(args) } }] }, 'tool_calls')

interface Asked {
  temperature: number
  seed?: number
  messages: { content: string }[]
}

describe('a model whose answers are of no use', () => {
  const undo: (() => unknown)[] = []
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })

  /** Does a request with three workers and a server that answers so. */
  async function ask(request: string, answer: (words: string) => string | Promise<string>) {
    const workspace = temporaryFolder()
    undo.push(() => rmSync(workspace, { recursive: true, force: true }))
    writeFileSync(join(workspace, 'a.csv'), 'date,receipt,amount,currency\n2026-07-01,R-1,12.50,EUR\n')
    const server = await serve(await recorded('vllm/models.json'), async (response, body) => {
      const { messages } = JSON.parse(body) as Asked
      await stream(await answer(messages.at(-1)?.content ?? ''))(response, body)
    })
    undo.push(() => server.close())
    const mesh = await memoryMesh()
    undo.push(() => mesh.close())
    const model = await mesh.join('model', { roles: ['inference'] })
    await serveModel(model, await OpenAiBackend.open({ url: server.url }))
    const workers = ['one', 'two', 'three']
    const profile = parseProfile('filesystem_policy: { read_only: [.] }')
    for (const name of workers) {
      const node: MeshNode = await mesh.join(name, { roles: ['worker', 'sandbox'], advert: { sandbox: true } })
      await node.spawn(sandboxService(node, { workspace, profile }), { as: sandboxName(name) })
      await node.spawn(worker(node), { as: name })
    }
    const supervisor = await mesh.join('supervisor', { roles: ['supervisor'] })
    const progress: string[] = []
    const { authority } = mesh
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    const tasks = await openTasks({ transport: await mesh.connect(), addresses, key: authority.tasksKey, by: 'test' })
    const result: JobResult = await runJob(supervisor, await tasks.begin({}), {
      request,
      files: () => ['a.csv'],
      workers,
      signal: new AbortController().signal,
      progress: (text) => progress.push(text),
      sayEveryMs: 50,
    })
    return { result, progress, asked: server.asked.map((body) => JSON.parse(body) as Asked) }
  }

  it('is not asked the same again, and not by another worker', async () => {
    const { result, asked } = await ask('Sing a song.', () => said({ content: 'La la la.' }, 'stop'))
    assert.equal(result.error?.code, 'MODEL_UNSUITED')
    assert.match(result.error?.message ?? '', /without choosing a tool/)
    assert.notEqual(result.error?.hint, '')
    assert.deepEqual(
      asked.map(({ temperature, seed }) => [temperature, seed]),
      [
        [0, undefined],
        [0.7, 1],
        [0.7, 2],
      ],
    )
  })

  it('may have another word, drawn more freely, and that one counts', async () => {
    let answers = 0
    const { result } = await ask('How many lines has a.csv?', () => {
      answers += 1
      return answers === 1 ? called('count_lines', { path: '/etc/passwd' }) : called('count_lines', { path: 'a.csv' })
    })
    assert.equal(result.error, undefined)
    assert.match(result.answer, /2 lines/)
  })

  it('loses its vote at the first tool that says nothing of the entries', async () => {
    const { result, asked } = await ask('Add up the entries of this quarter.', (words) =>
      called(words.startsWith('Add up the entries') ? 'check_entries' : 'count_lines', { path: 'a.csv' }),
    )
    assert.ok(result.ledger, result.answer)
    assert.deepEqual(
      result.vote?.ballots.map(({ choice }) => choice),
      [undefined, undefined, undefined],
    )
    assert.equal(result.error?.code, 'TASK_FAILED')
    assert.match(result.error?.message ?? '', /did not agree/)
    assert.equal(asked.length, 4, 'one part and three votes')
  })

  it('is said to be waited for while it takes long', async () => {
    const { progress } = await ask('How many lines has a.csv?', async () => {
      await new Promise((resolve) => setTimeout(resolve, 300))
      return called('count_lines', { path: 'a.csv' })
    })
    assert.ok(progress.some((text) => /still waiting: 0 of 1 parts done/.test(text)))
  })

  it('says so where an action fails, and where none may be done', async () => {
    const failed = await ask('How many lines has b.csv?', () => called('count_lines', { path: 'b.csv' }))
    assert.equal(failed.result.error?.code, 'TASK_FAILED')
    const refused = await ask('Read ../b.csv', () => called('read_file', { path: '../b.csv' }))
    assert.equal(refused.result.error?.code, 'DENIED')
  })
})
