/** I9: what an agent's action is asked under goes with it to the sandbox, and from there to the person; and it is done on the files that are meant, or not at all. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, renameSync, rmSync, statfsSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, test } from 'node:test'
import { z } from 'zod'
import { actor, type MeshNode, message, on } from '../../../mesh/index.js'
import { act } from '../../../nodes/agents/act.js'
import { ownTool } from '../../../nodes/agents/agent/own-tool.js'
import { serveCatalog } from '../../../nodes/catalog/host.js'
import { CallTool, catalogName } from '../../../nodes/catalog/messages.js'
import { keepWorkspace, serveSandbox } from '../../../nodes/process/serve.js'
import { parseProfile } from '../../../policies/profile.js'
import { AskApproval, approverName } from '../../../sandbox/approval.js'
import { RunAction, sandboxName, sandboxService } from '../../../sandbox/service.js'
import { lastingWorkspaceId, workspaceId } from '../../../sandbox/workspace.js'
import { eventually } from '../../kit/eventually.js'
import { memoryMesh, type TestMesh, temporaryFolder } from '../../kit/mesh.js'
import { newStage } from '../../sandbox/stage.js'

const Go = message('test.go', { request: z.null(), reply: z.string() })

test('a held action waits as long as whoever asked for it, and no longer', async () => {
  const { workspace } = await newStage()
  const mesh = await memoryMesh()
  try {
    const box = await mesh.join('box', { roles: ['supervisor', 'sandbox'] })
    const front = await mesh.join('front', { roles: ['gateway'] })
    const profile = parseProfile('filesystem_policy: { read_only: [.] }\nask: [{ read: / }]')
    await serveSandbox(box, { workspace, profile })
    const held: { leftMs: number; signal: AbortSignal }[] = []
    await front.spawn(
      actor(approverName, () => [
        on(AskApproval, async (_, { deadline, signal }) => {
          held.push({ leftMs: deadline - front.now(), signal })
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          return { answer: 'refuse' as const, by: 'nobody' }
        }),
      ]),
    )
    const call = { name: 'read_file', arguments: { path: '../secret.txt' } }
    await box.spawn(
      actor('agent', () => [on(Go, async (_, context) => (await act(box, call, context)).outcome.status)]),
    )
    const caller = new AbortController()
    const asked = front.ref('agent').ask(Go, null, { timeoutMs: 50_000, signal: caller.signal })
    const given = assert.rejects(asked, { code: 'CANCELLED' })
    const { leftMs, signal } = await eventually(() => {
      const [first] = held
      assert.ok(first)
      return first
    })
    assert.ok(leftMs > 30_000, `${leftMs} ms are left`)
    caller.abort()
    await given
    await eventually(() => assert.ok(signal.aborted))
  } finally {
    await mesh.close()
  }
})

describe('an action about files of one machine, where two have such files', () => {
  const folders: string[] = []
  let mesh: TestMesh
  let one: MeshNode
  let two: MeshNode
  let agent: MeshNode
  const count = { name: 'count_lines', arguments: { path: 'notes.txt' } }
  const lines = async (node: MeshNode, workspace?: string) => {
    const { node: by, outcome } = await act(node, count, {}, { workspace })
    return [by, outcome.status === 'done' ? outcome.result['lines'] : outcome]
  }
  const serve = async (name: string, text: string) => {
    const folder = temporaryFolder()
    folders.push(folder)
    writeFileSync(join(folder, 'notes.txt'), text)
    const node = await mesh.join(name, { roles: ['supervisor', 'worker', 'sandbox'] })
    const profile = parseProfile('filesystem_policy: { read_only: [.] }')
    await node.spawn(sandboxService(node, { workspace: folder, profile }), { as: sandboxName(name) })
    await node.directory.describe({ sandbox: true })
    await keepWorkspace(node, { folder })
    return { node, id: workspaceId({ folder }), folder }
  }
  let first: Awaited<ReturnType<typeof serve>>
  let second: Awaited<ReturnType<typeof serve>>

  before(async () => {
    mesh = await memoryMesh()
    first = await serve('one', 'a\n')
    second = await serve('two', 'a\nb\n')
    one = first.node
    two = second.node
    agent = await mesh.join('agent', { roles: ['supervisor'] })
    const places = () =>
      [first.id, second.id].filter((id) => agent.nodes().some(({ advert }) => advert['workspace'] === id))
    for (const node of [agent, one, two]) await eventually(() => assert.equal(node.nodes().length, 3))
    await eventually(() => assert.equal(places().length, 2))
  })
  after(async () => {
    await mesh.close()
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  })

  it('is done there, wherever the agent is', async () => {
    for (const node of [agent, one, two]) {
      assert.deepEqual(await lines(node, first.id), ['one', 1])
      assert.deepEqual(await lines(node, second.id), ['two', 2])
    }
  })

  it('is done by nobody else while that machine is away', async () => {
    await assert.rejects(lines(one, 'the files of a third'), { code: 'UNREACHABLE' })
    const sum = { name: 'calculate', arguments: { expression: '2 + 3' } }
    const { node, outcome } = await act(one, sum, {}, { workspace: 'the files of a third' })
    assert.deepEqual([node, outcome.status], ['one', 'done'], 'a sum is about no files')
  })

  it('is refused by a node with other files, whoever sent it there', async () => {
    const request = { tool: count.name, args: count.arguments, workspace: first.id }
    await assert.rejects(agent.ref(sandboxName('two')).ask(RunAction, request), {
      code: 'DENIED',
      message: /not those of node "two"/,
    })
  })

  it('is not guessed at where it is not said: an agent has the files of its own machine', async () => {
    assert.deepEqual(await lines(one), ['one', 1])
    assert.deepEqual(await lines(two), ['two', 2])
    await assert.rejects(lines(agent), { code: 'USAGE', message: /one, two have workspaces that differ/ })
    const sum = { name: 'calculate', arguments: { expression: '2 + 3' } }
    assert.equal((await act(agent, sum, {})).outcome.status, 'done')
  })

  it('is done by a tool of a catalog on the files of the machine that has the catalog, and says where', async () => {
    const front = await mesh.join('front', { roles: ['gateway'] })
    const tool = ownTool({
      name: 'sizes',
      description: 'How long the notes are.',
      args: z.object({}),
      reads: () => ['notes.txt'],
      run: async () => (await import('node:fs')).readFileSync('notes.txt', 'utf8').length,
    })
    await serveCatalog(agent, { name: 'here', tools: [tool] }, { workspace: { folder: second.folder } })
    await serveCatalog(agent, { name: 'nowhere', tools: [tool] })
    await eventually(() => assert.ok(front.find(catalogName('here')) && front.find(catalogName('nowhere'))))
    const sizes = (name: string) =>
      front.ref(catalogName(name)).ask(CallTool, { by: 'anna', desk: 'none', use: '1', tool: 'sizes', args: {} })
    // Whoever is asked at random would be asked wrongly now and then.
    for (let turn = 0; turn < 3; turn += 1) assert.deepEqual((await sizes('here')).facts, { result: 4, node: 'two' })
    await assert.rejects(sizes('nowhere'), { code: 'USAGE', message: /one, two have workspaces that differ/ })
  })

  it('is about the very folder also where another takes its place at the last moment', async () => {
    const third = temporaryFolder()
    folders.push(third, `${third}-before`)
    writeFileSync(join(third, 'notes.txt'), 'a\n')
    const profile = parseProfile('filesystem_policy: { read_only: [.] }')
    let looks = 0
    const inForce = () => {
      looks += 1
      // First when it comes, and then right before it is written down.
      if (looks === 2) {
        renameSync(third, `${third}-before`)
        mkdirSync(third)
        writeFileSync(join(third, 'notes.txt'), 'a\nb\n')
      }
      return { profile, policy: { name: 'own', version: null, digest: '' } }
    }
    await two.spawn(sandboxService(two, { workspace: third, profile: inForce }), { as: 'sandbox/third' })
    const request = { tool: count.name, args: count.arguments, workspace: workspaceId({ folder: third }) }
    await assert.rejects(agent.ref('sandbox/third').ask(RunAction, request), {
      code: 'DENIED',
      message: /not those of node/,
    })
    assert.ok(looks > 2)
    rmSync(third, { recursive: true })
    await assert.rejects(agent.ref('sandbox/third').ask(RunAction, request), { code: 'DENIED' })
  })

  it('is about the very folder: another that takes its place is not meant, until it is asked about', async () => {
    renameSync(second.folder, `${second.folder}-before`)
    folders.push(`${second.folder}-before`)
    mkdirSync(second.folder)
    writeFileSync(join(second.folder, 'notes.txt'), 'a\nb\nc\n')
    const request = { tool: count.name, args: count.arguments, workspace: second.id }
    await assert.rejects(agent.ref(sandboxName('two')).ask(RunAction, request), { code: 'DENIED' })
    const now = workspaceId({ folder: second.folder })
    assert.notEqual(now, second.id)
    assert.deepEqual(await eventually(() => lines(agent, now)), ['two', 3])
  })
})

const isLayered = statfsSync(tmpdir()).type === 0x794c7630
test('a folder that was removed and made anew is another, also under the same number', { skip: isLayered }, () => {
  const folder = temporaryFolder()
  try {
    const ids = Array.from({ length: 10 }, () => {
      rmSync(folder, { recursive: true })
      mkdirSync(folder)
      return [workspaceId({ folder }), lastingWorkspaceId({ folder })]
    })
    assert.equal(new Set(ids.flat()).size, 20)
    const [id, lasting] = ids.at(-1) ?? []
    writeFileSync(join(folder, 'a.txt'), 'a')
    chmodSync(folder, 0o750)
    assert.deepEqual([workspaceId({ folder }), lastingWorkspaceId({ folder })], [id, lasting])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('files that people gave one name are the same wherever they lie, and a folder is itself by whatever path', () => {
  const [a, b] = [temporaryFolder(), temporaryFolder()]
  try {
    assert.notEqual(workspaceId({ folder: a }), workspaceId({ folder: b }))
    assert.equal(workspaceId({ folder: a, shared: 'ledger' }), workspaceId({ folder: b, shared: 'ledger' }))
    assert.notEqual(workspaceId({ folder: a, shared: 'ledger' }), workspaceId({ folder: a, shared: 'notes' }))
    symlinkSync(a, join(b, 'link'))
    assert.equal(workspaceId({ folder: join(b, 'link') }), workspaceId({ folder: a }))
  } finally {
    for (const folder of [a, b]) rmSync(folder, { recursive: true, force: true })
  }
})
