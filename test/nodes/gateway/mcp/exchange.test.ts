/** MCP at the gateway, asked by the official client. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { shippedModelFolder } from '../../../../inference/models.js'
import { OnnxBackend } from '../../../../inference/onnx/backend.js'
import { addressesOf } from '../../../../mesh/address.js'
import { actor, type MeshNode, on } from '../../../../mesh/index.js'
import { installation } from '../../../../mesh/installation.js'
import { openTasks } from '../../../../mesh/task/tasks.js'
import { worker } from '../../../../nodes/agents/job/worker.js'
import { PolicyBook } from '../../../../nodes/authority/policy-book.js'
import { ApiKeys } from '../../../../nodes/gateway/http/keys.js'
import { meshTools } from '../../../../nodes/gateway/mcp/mesh-tool.js'
import { type MeshTool, ruleOnTool } from '../../../../nodes/gateway/mcp/offered.js'
import { TaskRuns } from '../../../../nodes/gateway/rest/tasks.js'
import { type Gateway, openGateway } from '../../../../nodes/gateway/server.js'
import { StandingPeople } from '../../../../nodes/people.js'
import { serveModel, serveSandbox } from '../../../../nodes/process/serve.js'
import { type People, type PeopleRole, peopleRoles, someone } from '../../../../policies/people.js'
import { AskApproval } from '../../../../sandbox/approval.js'
import { loadProfile } from '../../../../sandbox/preset.js'
import { auditEvents } from '../../../kit/events.js'
import { eventually } from '../../../kit/eventually.js'
import { memoryMesh, type TestMesh, temporaryFolder } from '../../../kit/mesh.js'
import { ask } from '../stand.js'

describe('MCP at the gateway', () => {
  const undo: (() => unknown)[] = []
  let mesh: TestMesh
  let front: MeshNode
  let gateway: Gateway
  let tools: MeshTool[]
  let keys: Record<string, string>
  const asked: { tool: string; signal: AbortSignal }[] = []

  before(async () => {
    const [data, workspace] = [temporaryFolder(), temporaryFolder()]
    for (const folder of [data, workspace]) undo.push(() => rmSync(folder, { recursive: true, force: true }))
    writeFileSync(join(workspace, 'notes.txt'), 'one\ntwo\nthree\n')
    mesh = await memoryMesh()
    undo.push(() => mesh.close())
    const box = await mesh.join('box', {
      roles: ['sandbox', 'worker', 'inference'],
      hosts: (node) => [worker(node)],
    })
    const backend = await OnnxBackend.open({ folder: shippedModelFolder })
    undo.push(() => backend.dispose())
    await serveModel(box, backend)
    await serveSandbox(box, { workspace, profile: await loadProfile('read-only-research') })
    front = await mesh.join('front', { roles: ['supervisor', 'gateway'] })
    const approver = actor('approver', () => [
      on(AskApproval, ({ tool }, { signal }) => {
        asked.push({ tool, signal })
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      }),
    ])
    await front.spawn(approver)
    const { authority } = mesh
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    const transport = await mesh.connect()
    const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: front.name })
    const policies = new PolicyBook(data, authority)
    const site = {
      tasks,
      workspace: { folder: workspace },
      policies,
      trail: { log: transport.log(addresses.auditStream), authority },
    }
    tools = meshTools(front, new TaskRuns(front, tasks, { folder: workspace }))
    people = (await StandingPeople.open(data)).now
    const file = new ApiKeys(data)
    keys = Object.fromEntries(peopleRoles.map((role) => [role, file.add(role, role, Date.now())]))
    const limits = { rate: { burst: 1000, perSecond: 1000 } }
    gateway = await openGateway({ node: front, data, host: '127.0.0.1', port: 0, site, limits })
    undo.push(() => gateway.close())
  })
  after(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })

  async function client(role: PeopleRole, mode: 'legacy' | 'auto' = 'legacy'): Promise<Client> {
    const connected = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } })
    const requestInit = { headers: { authorization: `Bearer ${keys[role]}` } }
    await connected.connect(new StreamableHTTPClientTransport(new URL(`${gateway.url}/mcp`), { requestInit }))
    return connected
  }
  let people: People
  const may = (role: PeopleRole, tool: MeshTool) => ruleOnTool(people, someone(role), tool).allowed
  const allowedFor = (role: PeopleRole) => tools.filter((tool) => may(role, tool)).map(({ name }) => name)
  const wordsOf = ({ content }: { content: unknown }) => JSON.stringify(content)

  for (const role of peopleRoles) {
    it(`shows ${role} what that role may use, and refuses the rest`, async () => {
      const caller = await client(role)
      const listed = (await caller.listTools()).tools.map(({ name }) => name)
      assert.deepEqual(listed, allowedFor(role))
      for (const { name } of tools.filter((tool) => !listed.includes(tool.name)))
        await assert.rejects(caller.callTool({ name, arguments: {} }), new RegExp(`role ${role} may not use ${name}`))
      await caller.close()
    })
  }

  it('is what the table of docs/mcp.md says', () => {
    const page = readFileSync(join(installation, 'docs', 'mcp.md'), 'utf8').split('\n')
    for (const tool of tools) {
      const { name } = tool
      const line = page.find((text) => text.startsWith('| `') && text.includes(`\`${name}\``))
      const cells = peopleRoles.map((role) => (may(role, tool) ? 'yes' : 'no')).join(' | ')
      assert.ok(line?.endsWith(`| ${cells} |`), `${name}: ${cells}`)
    }
  })

  for (const [era, mode] of [
    ['2025', 'legacy'],
    ['2026', 'auto'],
  ] as const) {
    it(`has a tool run in a sandbox, in the protocol of ${era}`, async () => {
      const caller = await client('developer', mode)
      const result = await caller.callTool({ name: 'count_lines', arguments: { path: 'notes.txt' } })
      assert.deepEqual(result.structuredContent, { node: 'box', lines: 3, summary: '3 lines' })
      assert.ok((caller.getNegotiatedProtocolVersion() ?? '').startsWith(era))
      await caller.close()
    })
  }

  it('writes down who asks before the mesh is asked, and what came of it, under one trace', async () => {
    const caller = await client('operator')
    await caller.callTool({ name: 'calculate', arguments: { expression: '6 * 7' } })
    await caller.close()
    await front.audit.flush(60_000)
    await eventually(async () => {
      const events = await auditEvents(mesh)
      const trace = events.find(({ facts }) => facts['key'] === 'operator' && facts['tool'] === 'calculate')?.trace
      const mine = events.filter((event) => event.trace === trace).map(({ kind }) => kind)
      assert.deepEqual(mine.sort(), ['action.ended', 'action.intended', 'gateway.answered', 'gateway.asked'])
    })
  })

  it('says what a tool refuses, what does not fit, and what is not there', async () => {
    const caller = await client('developer')
    const outside = await caller.callTool({ name: 'read_file', arguments: { path: '/etc/passwd' } })
    assert.equal(outside.isError, true)
    assert.match(wordsOf(outside), /denied on \S+: the policy does not let read_file read \/etc\/passwd/)
    const wrong = await caller.callTool({ name: 'count_lines', arguments: { file: 'notes.txt' } })
    assert.equal(wrong.isError, true)
    assert.match(wordsOf(wrong), /path/)
    const huge = await caller.callTool({ name: 'write_note', arguments: { path: 'a', text: 'x'.repeat(300_000) } })
    assert.match(wordsOf(huge), /The arguments have 300\d+ characters, of 65536 at most/)
    await eventually(async () => {
      const told = (await auditEvents(mesh)).filter(({ facts }) => Number(facts['characters']) > 300_000)
      assert.deepEqual(
        told.map(({ kind, facts }) => [kind, facts['tool'], facts['args']]),
        [['gateway.asked', 'write_note', undefined]],
      )
    })
    await assert.rejects(caller.callTool({ name: 'no_tool', arguments: {} }), /There is no tool no_tool/)
    await caller.close()
  })

  it('has a request done as a task, which can be looked at', async () => {
    const caller = await client('developer')
    const steps: [number, string | undefined][] = []
    const done = await caller.callTool(
      { name: 'run_task', arguments: { request: 'how many lines has notes.txt' } },
      { onprogress: ({ progress, message }) => steps.push([progress, message]) },
    )
    assert.deepEqual(steps, [
      [1, 'plan'],
      [2, 'part 1'],
    ])
    const { id, state, answer } = done.structuredContent as Record<string, string>
    assert.deepEqual([state, answer], ['done', '3 lines'], wordsOf(done))
    const shown = await caller.callTool({ name: 'show_task', arguments: { id } })
    assert.match(wordsOf(shown), /"state\\":\\"done/)
    const empty = await caller.callTool({ name: 'show_task', arguments: { id: 'none' } })
    assert.match(wordsOf(empty), /There is no task none/)
    await caller.close()
    const operator = await client('operator')
    const again = await operator.callTool({ name: 'cancel_task', arguments: { id } })
    assert.match(wordsOf(again), /has ended/)
    await operator.close()
  })

  it('works for nobody who has gone', async () => {
    const caller = await client('developer')
    const stop = new AbortController()
    const writing = caller.callTool(
      { name: 'write_note', arguments: { path: 'new.txt', text: 'x' } },
      { signal: stop.signal },
    )
    await eventually(() => assert.equal(asked.at(-1)?.tool, 'write_note'))
    stop.abort()
    await assert.rejects(writing)
    await caller.close()
    await eventually(() => assert.ok(asked.at(-1)?.signal.aborted))
  })

  it('lets in who has a key, and follows nothing for whoever has no session', async () => {
    const body = { jsonrpc: '2.0', id: 1, method: 'tools/list' }
    const accept = { accept: 'application/json, text/event-stream' }
    const key = keys['viewer']
    assert.equal((await ask(gateway.url, '/mcp', { method: 'POST', body, headers: accept })).status, 401)
    assert.equal(
      (await ask(gateway.url, '/mcp', { method: 'POST', body, headers: { ...accept, host: 'evil.example' }, key }))
        .status,
      403,
    )
    for (const method of ['GET', 'DELETE']) {
      const reply = await ask(gateway.url, '/mcp', { method, key, headers: accept })
      assert.deepEqual([reply.status, reply.headers['allow']], [405, 'POST'])
      assert.equal((await ask(gateway.url, '/mcp', { method, headers: accept })).status, 401)
    }
    const bad = await ask(gateway.url, '/mcp', { method: 'POST', body: [1, 2], headers: accept, key })
    assert.equal(bad.status, 400, bad.text)
  })
})
