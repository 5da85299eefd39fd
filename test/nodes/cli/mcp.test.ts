/** `clawmesh mcp`: the shipped command, started by the official client as a desktop program would. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { installation } from '../../../mesh/installation.js'
import { eventually } from '../../kit/eventually.js'
import { temporaryFolder } from '../../kit/mesh.js'
import { command, run } from '../command.js'
import { Machine } from '../machine.js'

const program = join(installation, 'dist', 'nodes', 'cli', 'main.js')

describe('clawmesh mcp', () => {
  const machine = new Machine()
  const workspace = temporaryFolder()
  before(async () => {
    writeFileSync(join(workspace, 'notes.txt'), 'one\ntwo\nthree\n')
    await machine.up('--name', 'home', '--workspace', workspace)
  })
  after(async () => {
    await machine.remove()
    rmSync(workspace, { recursive: true, force: true })
  })

  async function client(...args: string[]) {
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [program, 'mcp', '--data', machine.data, ...args],
      stderr: 'pipe',
    })
    let said = ''
    transport.stderr?.on('data', (piece) => {
      said += piece
    })
    const connected = new Client({ name: 'test', version: '1' }, { capabilities: { elicitation: {} } })
    await connected.connect(transport).catch((error) => assert.fail(`${error}: ${said}`))
    return connected
  }

  it('has tools and tasks done by the mesh that runs here', async () => {
    const caller = await client()
    const counted = await caller.callTool({ name: 'count_lines', arguments: { path: 'notes.txt' } })
    assert.deepEqual(counted.structuredContent, { node: 'home', lines: 3, summary: '3 lines' }, JSON.stringify(counted))
    const done = await caller.callTool({ name: 'run_task', arguments: { request: 'how many lines has notes.txt' } })
    assert.match(JSON.stringify(done), /"answer":"3 lines"/)
    await caller.close()
  })

  it('does for a role what that role may', async () => {
    const caller = await client('--role', 'auditor')
    const names = (await caller.listTools()).tools.map(({ name }) => name)
    assert.deepEqual(names, ['list_nodes', 'list_tasks', 'show_task'])
    const { structuredContent } = await caller.callTool({ name: 'list_tasks', arguments: {} })
    assert.match(JSON.stringify(structuredContent), /"request":"how many lines has notes.txt","state":"done"/)
    const own = join(machine.data, 'people.cedar')
    writeFileSync(own, '@id("none") forbid (principal == User::"stdio", action == Action::"readTasks", resource);')
    await assert.rejects(caller.callTool({ name: 'list_tasks', arguments: {} }), /forbidden by own:none/)
    rmSync(own)
    await caller.close()
  })

  it('ends with its client, and is on the audit trail', async () => {
    const { stdout } = await machine.do('audit', 'query', '--json')
    const events = stdout.split('\n').filter((line) => line.includes('"gateway.asked"') && line.includes('"stdio"'))
    assert.equal(events.length, 3, stdout)
    for (const kind of ['policy.loaded', 'gateway.refused'])
      assert.ok(
        stdout.split('\n').some((line) => line.includes(`"${kind}"`) && line.includes('own:none')),
        kind,
      )
    const names = await machine.names()
    assert.ok(!names.some((name) => name.startsWith('runner')), names.join())
  })

  it('says what is wrong with what it is told', async () => {
    const role = await machine.do('mcp', '--role', 'root')
    assert.equal(role.status, 2)
    assert.match(role.stderr, /"root" is no role/)
    const none = await command('mcp', '--data', workspace)
    assert.equal(none.status, 4)
    assert.match(none.stderr, /No mesh runs in/)
  })

  it('offers what a program of the mesh has, and asks the person at the client for it', async () => {
    const library = run(['catalog', join(installation, 'examples', 'catalog.mjs'), '--data', machine.data])
    await eventually(() => assert.match(library.stderr(), /offering library to MCP clients: lend, fine, /), 20_000)
    const asked: string[] = []
    const caller = await client()
    caller.setRequestHandler('elicitation/create', ({ params }) => {
      asked.push(params.message)
      return { action: 'accept', content: { days: 3 } }
    })
    const lent = await caller.callTool({ name: 'lend', arguments: { title: 'Emma' } })
    assert.deepEqual([JSON.stringify(lent.content).includes('Emma is yours for 3 days.'), asked.length], [true, 1])
    const [book] = (await caller.readResource({ uri: 'library://book/Emma' })).contents
    assert.equal(book && 'text' in book && book.text, 'Jane Austen')
    const { stdout } = await machine.do('nodes')
    assert.match(stdout, / catalog library$/m, stdout)
    await caller.close()
    library.child.kill('SIGTERM')
    assert.equal((await library.ended).status, 0, library.stderr())
  })
})
