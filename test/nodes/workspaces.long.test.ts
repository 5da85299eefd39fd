/** Two machines with a workspace of their own each, whose files have the same names: the real commands. Work is done where the files are that it is about. */
import assert from 'node:assert/strict'
import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { z } from 'zod'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'
import { run } from './command.js'
import { Machine } from './machine.js'

const ranSchema = z.looseObject({
  ok: z.boolean(),
  answer: z.string(),
  parts: z.array(z.looseObject({ node: z.string() })),
})
const taskSchema = z.looseObject({
  state: z.string(),
  outcome: z.object({ ok: z.boolean(), answer: z.string(), on: z.array(z.string()) }).optional(),
})
const request = 'How many lines has notes.txt? Read notes.txt. What is 12 + 30?'

const ops = `export default ({ ownTool, z }) => ({
  name: 'ops',
  tools: [
    ownTool({
      name: 'notes',
      description: 'What the notes say.',
      args: z.object({}),
      reads: () => ['notes.txt'],
      run: async () => (await import('node:fs')).readFileSync('notes.txt', 'utf8'),
    }),
  ],
})`

describe('machines that have workspaces of their own', () => {
  const [home, guest] = [new Machine(), new Machine()]
  const [ours, theirs] = [temporaryFolder(), temporaryFolder()]
  let gateway: string
  let key: string
  const policy = ['--policy', 'read-only-research']

  before(async () => {
    writeFileSync(join(ours, 'notes.txt'), 'ours\n')
    writeFileSync(join(theirs, 'notes.txt'), 'theirs\nand more\n')
    const { stderr } = await home.up('--name', 'home', '--gateway', '0', '--workspace', ours, ...policy)
    gateway = /The gateway listens at (http:\S+)\. /.exec(stderr())?.[1] ?? assert.fail(stderr())
    await guest.join(await home.invite(), '--name', 'guest', '--workspace', theirs, ...policy)
    await eventually(async () => assert.ok((await home.names()).includes('guest')))
    key = (await home.do('keys', 'add', 'test', '--role', 'developer')).stdout.trim()
  })
  after(async () => {
    for (const machine of [guest, home]) await machine.remove()
    for (const folder of [ours, theirs]) rmSync(folder, { recursive: true, force: true })
  })

  const ask = async () => {
    const { status, stdout, error } = await home.do('run', request, '--json')
    assert.equal(status, 0, error.join('\n'))
    return ranSchema.parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''))
  }
  const call = async (path: string, body?: unknown) => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
    const reply = await fetch(`${gateway}${path}`, {
      headers,
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    })
    assert.ok(reply.ok, `${reply.status} ${await reply.clone().text()}`)
    return reply.json()
  }

  it('a request is done on the machine whose files it is about, and says so', async () => {
    for (let time = 1; time <= 3; time += 1) {
      const { answer, parts } = await ask()
      assert.match(answer, /1 line/)
      assert.match(answer, /ours/)
      assert.doesNotMatch(answer, /theirs/)
      assert.deepEqual(
        parts.map(({ node }) => node),
        ['home', 'home', 'home'],
      )
    }
  })

  it('so is a task that is begun at the gateway, and what MCP clients have done', async () => {
    const { id } = z.object({ id: z.string() }).parse(await call('/v1/tasks', { request }))
    const outcome = await eventually(async () => {
      const task = taskSchema.parse(await call(`/v1/tasks/${id}`))
      assert.ok(task.outcome)
      return task.outcome
    }, 60_000)
    assert.deepEqual(outcome.on, ['home'])
    assert.match(outcome.answer, /ours/)
    const client = new Client({ name: 'test', version: '1' })
    const requestInit = { headers: { authorization: `Bearer ${key}` } }
    await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway}/mcp`), { requestInit }))
    for (let time = 1; time <= 3; time += 1) {
      const { structuredContent } = await client.callTool({ name: 'count_lines', arguments: { path: 'notes.txt' } })
      assert.deepEqual(structuredContent, { node: 'home', lines: 1, summary: '1 line' })
    }
    const file = join(home.data, 'ops.mjs')
    writeFileSync(file, ops)
    const program = run(['catalog', file, '--data', home.data])
    await eventually(() => assert.match(program.stderr(), /offering ops to MCP clients: notes/), 60_000)
    for (let time = 1; time <= 3; time += 1) {
      const { structuredContent, content } = await client.callTool({ name: 'notes', arguments: {} })
      assert.deepEqual(structuredContent, { node: 'home', result: 'ours\n' }, JSON.stringify(content))
    }
    program.child.kill('SIGTERM')
    await program.ended
    await client.close()
  })

  it('nobody else does it while that machine offers none', async () => {
    await home.stop()
    rmSync(join(home.data, 'offer.json'))
    await home.up('--name', 'home', '--gateway', 'none')
    await eventually(async () => assert.ok((await home.names()).includes('guest')), 60_000)
    const { status, error } = await home.do('run', 'How many lines has notes.txt?', '--workspace', ours)
    assert.notEqual(status, 0)
    assert.match(error.join('\n'), /No node that can act has .* as its workspace/)
    assert.match(error.join('\n'), /have other files: guest/)
  })

  it('a machine that is drained has its files to itself, and who asks is told', async () => {
    await home.stop()
    await home.up('--name', 'home', '--gateway', 'none', '--workspace', ours, ...policy)
    assert.equal((await home.do('nodes', 'drain', 'home')).status, 0)
    const { status, error } = await home.do('run', 'How many lines has notes.txt?')
    assert.notEqual(status, 0)
    assert.match(error.join('\n'), /are on home, which takes no work now.*nodes undrain home/s)
    assert.equal((await home.do('nodes', 'undrain', 'home')).status, 0)
  })

  it('either does it where a person says that both have the same files', async () => {
    for (const machine of [guest, home]) await machine.stop()
    cpSync(join(ours, 'notes.txt'), join(theirs, 'notes.txt'))
    await home.up('--workspace', ours, '--shared', 'notes', ...policy)
    await guest.join('--workspace', theirs, '--shared', 'notes', ...policy)
    await eventually(async () => assert.ok((await home.names()).includes('guest')), 60_000)
    const seen = new Set<string>()
    await eventually(async () => {
      for (const { node } of (await ask()).parts) seen.add(node)
      assert.deepEqual([...seen].sort(), ['guest', 'home'])
    }, 60_000)
  })
})
