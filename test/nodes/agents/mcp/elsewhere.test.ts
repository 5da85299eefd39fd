/** MCP servers on another machine: the gateway of another mesh. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { z } from 'zod'
import { actor, type MeshNode, on } from '../../../../mesh/index.js'
import { signingKey } from '../../../../mesh/seal/keys.js'
import { mcpName, serveMcp } from '../../../../nodes/agents/mcp/host.js'
import type { Login } from '../../../../nodes/agents/mcp/login.js'
import { LoginFile } from '../../../../nodes/agents/mcp/login-file.js'
import { fetchOf } from '../../../../nodes/agents/mcp/outbound.js'
import type { RemoteServer } from '../../../../nodes/agents/mcp/server.js'
import { callMcp, mcpTools } from '../../../../nodes/agents/mcp/tool.js'
import { openTlsAuthority } from '../../../../nodes/authority/tls.js'
import { catalogTool } from '../../../../nodes/catalog/catalog.js'
import { serveCatalog } from '../../../../nodes/catalog/host.js'
import { holderOf, serveElsewhere } from '../../../../nodes/elsewhere.js'
import { ApiKeys } from '../../../../nodes/gateway/http/keys.js'
import { openGateway } from '../../../../nodes/gateway/server.js'
import { readRouterRules } from '../../../../nodes/router-rules.js'
import type { Sensitivity } from '../../../../policies/router-label.js'
import { AskApproval } from '../../../../sandbox/approval.js'
import { resolver } from '../../../../sandbox/egress/resolve.js'
import { auditEvents } from '../../../kit/events.js'
import { eventually } from '../../../kit/eventually.js'
import { memoryMesh, type TestMesh, temporaryFolder } from '../../../kit/mesh.js'

/** That anybody would mind. */
const nothing: Sensitivity = { label: 'PUBLIC', categories: [] }

describe('an MCP server elsewhere', () => {
  const undo: (() => unknown)[] = []
  const folder = temporaryFolder()
  let ours: TestMesh
  let box: MeshNode
  let mind: MeshNode
  let url: string
  let key: string
  let trust: string
  const told: string[] = []
  const questions: Record<string, unknown>[] = []
  let answer: 'allow' | 'refuse' = 'allow'
  let pressed = () => undefined
  const isPressed = new Promise<undefined>((resolve) => {
    pressed = () => void resolve(undefined)
  })

  before(async () => {
    undo.push(() => rmSync(folder, { recursive: true, force: true }))
    const theirs = await memoryMesh()
    undo.push(() => theirs.close())
    const front = await theirs.join('front', { roles: ['supervisor', 'gateway'] })
    const field = { type: 'string' }
    const asking = (name: string, properties: Record<string, Record<string, unknown>>, required: string[]) =>
      catalogTool({
        name,
        description: 'Asks.',
        args: z.object({}),
        run: async (_, caller) =>
          JSON.stringify(
            await caller.elicit({ message: 'Which town?', form: { type: 'object', properties, required } }),
          ),
      })
    await serveCatalog(front, {
      name: 'atlas',
      tools: [
        catalogTool({
          name: 'look_up',
          description: 'Looks a town up.',
          args: z.object({ town: z.string() }),
          run: ({ town }) => {
            told.push(town)
            return `${town} is a town`
          },
        }),
        asking('propose', { town: { ...field, default: 'Ulm' } }, ['town']),
        asking('demand', { town: field }, ['town']),
        catalogTool({
          name: 'press',
          description: 'Asks twice at once.',
          args: z.object({}),
          run: async (_, caller) => {
            const form = { type: 'object' as const, properties: {} }
            const one = caller.elicit({ message: 'The first?', form })
            const two = await caller.elicit({ message: 'The second?', form })
            pressed()
            return `${(await one).action} ${two.action}`
          },
        }),
      ],
    })
    const authority = openTlsAuthority(join(folder, 'tls.json'), 'theirs', Date.now())
    trust = authority.certificate
    key = new ApiKeys(folder).add('ours', 'service', Date.now())
    const tls = authority.issue('gateway', ['localhost'], Date.now())
    const gateway = await openGateway({ node: front, data: folder, host: '127.0.0.1', port: 0, tls })
    undo.push(() => gateway.close())
    url = `https://localhost:${new URL(gateway.url).port}/mcp`
    ours = await memoryMesh()
    undo.push(() => ours.close())
    box = await ours.join('box', { roles: ['sandbox', 'worker'] })
    mind = await ours.join('mind', { roles: ['supervisor', 'gateway'] })
    // The rules that ship, but that no names are looked for: what reads names is long in coming.
    const rules = readRouterRules().text.replace(/^tagger: .*$/m, 'tagger: { kinds: [] }')
    await serveElsewhere(await ours.join('keys', { roles: ['router'] }), { rules })
    await eventually(() => assert.equal(holderOf(box)?.rules, rules))
    const approver = actor('approver', () => [
      on(AskApproval, async ({ args }) => {
        questions.push(args)
        if (args['asks'] === 'The first?') await isPressed
        return { answer, by: 'anna' }
      }),
    ])
    await mind.spawn(approver)
    // All nodes share this process, which may stand still for longer than a lease while it loads what reads prompts.
    await eventually(async () => {
      const use = await serve()
      const { status, text } = await use('look_up', { town: 'Bonn' })
      await box.stop(mcpName('atlas'))
      assert.equal(status, 'done', text)
    })
    told.length = 0
  })
  afterEach(() => box.stop(mcpName('atlas')))
  after(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })

  const fileOf = (server: string) => new LoginFile(folder, { name: server }, signingKey())
  async function serve(more: Partial<RemoteServer> = {}, secret: string | undefined = key) {
    const login = fileOf('atlas')
    login.remove()
    if (secret !== undefined) login.change({ secret })
    const reached = { addresses: ['127.0.0.1'], trust, login: { as: 'token' } as Login }
    await serveMcp(box, { name: 'atlas', url, runs: 'elsewhere', ...reached, label: 'INTERNAL', ...more }, { login })
    const tools = await mcpTools(mind, 'atlas')
    return (name: string, args: Record<string, unknown> = {}, seen: Sensitivity = nothing) => {
      const tool = tools.find((each) => each.tool === name)
      assert.ok(tool, name)
      return callMcp(mind, tool, args, { timeoutMs: 60_000, seen })
    }
  }

  it('is told what may leave, and nothing else, whatever the agent has seen', async () => {
    const use = await serve()
    assert.deepEqual(await use('look_up', { town: 'Ulm' }), {
      status: 'done',
      text: 'Ulm is a town',
      label: 'INTERNAL',
    })
    const secret = await use('look_up', { town: 'the town of DE89 3704 0044 0532 0130 00' })
    const seen = await use('look_up', { town: 'Rome' }, { label: 'RESTRICTED', categories: ['PII'] })
    for (const { status, text } of [secret, seen]) {
      assert.equal(status, 'denied', text)
      assert.match(text, /by the rule .* may not leave the mesh/)
    }
    assert.deepEqual(told, ['Ulm'])
  })

  it('has its questions answered by a person, who says yes to what it proposes, or no', async () => {
    const use = await serve()
    assert.match((await use('propose')).text, /"action":"accept","content":\{"town":"Ulm"\}/)
    assert.equal((await use('press')).text, 'accept decline', 'one question at a time')
    assert.equal(questions.pop()?.['asks'], 'The first?')
    answer = 'refuse'
    assert.match((await use('propose')).text, /"action":"decline"/)
    assert.match((await use('demand')).text, /"action":"decline"/)
    assert.deepEqual(
      questions,
      [0, 1].map(() => ({ asks: 'Which town?', answers: { town: 'Ulm' } })),
    )
  })

  it('is dialled at no private address, in no clear, and by no certificate but its own', async () => {
    await assert.rejects(serve({ addresses: [] }), /which is not dialled: private/)
    await assert.rejects(serve({ url: url.replace('https', 'http') }), /spoken to in the clear/)
    await assert.rejects(
      serve({ trust: openTlsAuthority(join(folder, 'other.json'), 'other', Date.now()).certificate }),
    )
  })

  it('can answer what it likes, and brings nobody down', async () => {
    const authority = openTlsAuthority(join(folder, 'hostile.json'), 'hostile', Date.now())
    const { certificate: cert, key: own } = authority.issue('hostile', ['localhost'], Date.now())
    const hostile = createServer({ cert, key: own }, (asked, reply) => {
      if (asked.url === '/number') return void asked.socket.end('HTTP/1.1 999 Oh\r\ncontent-length: 0\r\n\r\n')
      const more = () => {
        while (!reply.destroyed && reply.write(Buffer.alloc(65_536)));
      }
      reply.on('drain', more)
      more()
    })
    await new Promise<void>((resolve) => hostile.listen(0, '127.0.0.1', resolve))
    const at = `https://localhost:${(hostile.address() as AddressInfo).port}`
    const reached = { url: at, runs: 'elsewhere' as const, addresses: ['127.0.0.1'], trust: authority.certificate }
    const reach = fetchOf(reached, resolver())
    await assert.rejects(reach(`${at}/number`), /cannot be read/)
    await assert.rejects(
      reach(at).then((answered) => answered.text()),
      /longer than 16777216 bytes/,
    )
    hostile.closeAllConnections()
    hostile.close()
  })

  it('that is away is an error, or, where it may be, tried again when it is called', async () => {
    // A port on which nobody listens any more.
    const gone = createServer()
    await new Promise<void>((ready) => gone.listen(0, '127.0.0.1', ready))
    const { port } = gone.address() as AddressInfo
    await new Promise((closed) => gone.close(closed))
    const server: RemoteServer = {
      name: 'atlas',
      url: `https://localhost:${port}/mcp`,
      runs: 'elsewhere',
      addresses: ['127.0.0.1', '::1'],
      trust,
    }
    await assert.rejects(serveMcp(box, server), { code: 'UNREACHABLE' })
    await eventually(() => assert.ok(!box.directory.locate(mcpName('atlas'))))
    await serveMcp(box, server, { mayBeAway: true })
    await assert.rejects(mcpTools(mind, 'atlas'), { code: 'UNREACHABLE' })
  })

  it('is used with the token that this machine has, and waits for one that it has not', async () => {
    await assert.rejects(serve({}, 'cm_of-nobody'), /asks for a login/)
    assert.ok(ours.authority && box.directory.locate(mcpName('atlas')), 'it is there when the token comes')
  })

  it('has an end on the trail for each beginning, also for one that came to nothing', async () => {
    await eventually(async () => {
      await box.audit.flush(60_000)
      const events = (await auditEvents(ours)).filter(({ facts }) => facts['tool'] === mcpName('atlas'))
      const count = (kind: string) => events.filter((event) => event.kind === kind).length
      assert.ok(count('action.intended') >= 5)
      assert.equal(count('action.ended'), count('action.intended'))
      const outcomes = new Set(events.map(({ facts }) => Object(facts['outcome']).status))
      assert.deepEqual([...outcomes].sort(), ['ended', 'failed', undefined])
    })
  })
})
