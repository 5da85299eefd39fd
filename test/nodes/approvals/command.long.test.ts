/** `clawmesh approve …` and `clawmesh run`, as the shipped commands: what no terminal is asked for, somebody else allows. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { z } from 'zod'
import { eventually } from '../../kit/eventually.js'
import { command, run } from '../command.js'
import { Machine } from '../machine.js'

const listSchema = z.object({
  questions: z.array(
    z.object({
      id: z.string(),
      tool: z.string(),
      adds: z.object({ read_only: z.array(z.string()), read_write: z.array(z.string()) }),
      task: z.string(),
    }),
  ),
})

/** Says what an MCP server has to say, and then writes where nothing lets it. */
const serverThatWrites = `import { appendFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line)
  const say = (result) => console.log(JSON.stringify({ jsonrpc: '2.0', id, result }))
  if (method === 'initialize')
    say({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'log', version: '1' } })
  if (method !== 'tools/list') continue
  say({ tools: [] })
  for (;;) await appendFile('log.txt', 'here').then(() => new Promise(() => {}), () => undefined)
}
`

describe('clawmesh approve', () => {
  const machine = new Machine()
  const workspace = join(machine.data, '..', 'workspace')
  const secret = join(machine.data, '..', 'secret.txt')
  const others = join(machine.data, '..', 'laptop')
  before(async () => {
    mkdirSync(workspace)
    writeFileSync(join(workspace, 'notes.txt'), 'one\n')
    writeFileSync(secret, 'a\nb\n')
    const mcp = join(machine.data, '..', 'mcp.yaml')
    const script = join(machine.data, '..', 'server.mjs')
    writeFileSync(
      join(machine.data, '..', 'asking.yaml'),
      'filesystem_policy: { read_only: [.] }\nlimits: { wall_ms: 600000 }\nask: [{ write: . }]',
    )
    writeFileSync(
      mcp,
      'servers: { log: { command: node, args: [./server.mjs], code: [./server.mjs], sandbox: ./asking.yaml } }',
    )
    writeFileSync(script, serverThatWrites)
    await machine.up('--name', 'home', '--workspace', workspace, '--mcp', mcp)
  })
  after(() => machine.remove())

  const held = (...args: string[]) =>
    eventually(async () => {
      const { stdout, stderr } = await command('approve', 'list', '--json', ...args)
      const [question] = listSchema.parse(JSON.parse(stdout)).questions
      assert.ok(question, stderr)
      return question
    }, 60_000)
  const ask = () => run(['run', 'read ../secret.txt', '--workspace', workspace, '--data', machine.data])

  it('is for what a program opens while it runs too: the program waits, and goes on with the file', async () => {
    const question = await held('--data', machine.data)
    assert.deepEqual([question.tool, question.adds], ['mcp/log', { read_only: [], read_write: [] }])
    const shown = await machine.do('approve', 'show', question.id)
    assert.match(shown.stdout, /wants to write ".*log\.txt" by .*node/)
    assert.match(shown.stdout, /a yes adds nothing to the policy: it lets the running action do this$/m)
    // An MCP server is of no task.
    const allowed = await machine.do('approve', 'allow', question.id, '--for', 'session')
    assert.match(allowed.stdout, /^allowed by .*, for this once: it belongs to no task$/m, allowed.stderr)
    const revoked = await machine.do('approve', 'revoke', question.id)
    assert.match(revoked.error.join(), /No answer stands by .* any more: it was for that one action alone/)
    await eventually(() => assert.equal(readFileSync(join(workspace, 'log.txt'), 'utf8'), 'here'))
    const { stdout } = await machine.do('audit', 'query', '--json', '--kind', 'file')
    const kinds = stdout.split('\n').flatMap((line) => /"kind":"([\w.]+)"/.exec(line)?.[1] ?? [])
    assert.deepEqual(kinds, ['file.intended', 'file.opened'])
  })

  it('shows what a run without a terminal is held for, and lets it go on', async () => {
    const running = ask()
    const question = await held('--data', machine.data)
    assert.deepEqual([question.tool, question.adds.read_only], ['read_file', [secret]])
    const shown = await machine.do('approve', 'show', question.id)
    assert.match(shown.stdout, /a yes adds to the policy of read_file:\n\s+read_only: .*secret\.txt/)
    const allowed = await machine.do('approve', 'allow', question.id.slice(0, 13))
    assert.equal(allowed.status, 0, allowed.stderr)
    const ended = await running.ended
    assert.equal(ended.status, 0, ended.stderr)
    assert.match(ended.stdout, /2 lines/)
    const late = await machine.do('approve', 'refuse', question.id)
    assert.equal(late.status, 3)
    assert.match(late.error.join(), /decided already: allowed by \w+ at a terminal/)
    const { stdout } = await machine.do('audit', 'query', '--json', '--kind', 'approval', '--trace', question.task)
    const kinds = stdout.split('\n').map((line) => /"kind":"([\w.]+)"/.exec(line)?.[1])
    for (const kind of ['approval.asked', 'approval.decided', 'approval.answered', 'approval.refused'])
      assert.ok(kinds.includes(kind), `${kind} is missing in ${kinds}`)
  })

  it('is another machine’s too, for who was invited as an approver, in his name, until he is revoked', async () => {
    const invitation = await machine.invite('--roles', 'approver', '--name', 'ada')
    const running = ask()
    const question = await held('--join', invitation, '--data', others)
    const refused = await command('approve', 'refuse', question.id, '--data', others)
    assert.equal(refused.status, 0, refused.stderr)
    assert.match(refused.stdout, /refused by ada/)
    assert.equal((await running.ended).status, 3)
    assert.equal((await machine.do('revoke', 'ada')).status, 0)
    const after = await command('approve', 'list', '--data', others)
    assert.notEqual(after.status, 0)
    assert.match(after.error.join(), /revoked/)
  })
})
