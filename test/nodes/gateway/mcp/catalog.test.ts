/** What programs of the mesh offer MCP clients, and what the mesh itself lets them read; asked by the official client. */
import assert from 'node:assert/strict'
import { setMaxListeners } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { z } from 'zod'
import { addressesOf } from '../../../../mesh/address.js'
import { actor, type MeshNode, on } from '../../../../mesh/index.js'
import { openTasks, type Tasks } from '../../../../mesh/task/tasks.js'
import { ownTool } from '../../../../nodes/agents/agent/own-tool.js'
import { PolicyBook } from '../../../../nodes/authority/policy-book.js'
import { type Catalog, catalogTool, checkCatalog } from '../../../../nodes/catalog/catalog.js'
import { serveCatalog } from '../../../../nodes/catalog/host.js'
import {
  CompleteArgument,
  DescribeCatalog,
  ElicitCaller,
  FollowResource,
  SampleCaller,
} from '../../../../nodes/catalog/messages.js'
import { holderOf, serveElsewhere } from '../../../../nodes/elsewhere.js'
import { ApiKeys } from '../../../../nodes/gateway/http/keys.js'
import { Desk } from '../../../../nodes/gateway/mcp/desk.js'
import type { Use } from '../../../../nodes/gateway/mcp/offered.js'
import { type Gateway, openGateway } from '../../../../nodes/gateway/server.js'
import { serveSandbox } from '../../../../nodes/process/serve.js'
import { readRouterRules } from '../../../../nodes/router-rules.js'
import type { PeopleRole } from '../../../../policies/people.js'
import { AskApproval } from '../../../../sandbox/approval.js'
import { loadProfile } from '../../../../sandbox/preset.js'
import { auditEvents } from '../../../kit/events.js'
import { eventually } from '../../../kit/eventually.js'
import { memoryMesh, type TestMesh, temporaryFolder } from '../../../kit/mesh.js'
import { ask } from '../stand.js'

const ada = { action: 'accept' as const, content: { name: 'Ada' } }
const iban = 'DE89 3704 0044 0532 0130 00'

describe('a catalog of a program', () => {
  const undo: (() => unknown)[] = []
  let mesh: TestMesh
  let program: MeshNode
  let gateway: Gateway
  let tasks: Tasks
  let data: string
  const keys: Record<string, string> = {}
  const gone: string[] = []
  let pages = 1
  let turned: () => void = () => undefined

  const library: Catalog = {
    name: 'library',
    tools: [
      catalogTool({
        name: 'greet',
        description: 'Asks who is there.',
        args: z.object({ times: z.int().max(3).default(1) }),
        run: async ({ times }, caller) => {
          caller.log('info', 'asking')
          caller.progress(1, 2, 'asking')
          const names: string[] = []
          for (let turn = 0; turn < times; turn += 1) {
            const form = { type: 'object' as const, properties: { name: { type: 'string' } }, required: ['name'] }
            const { action, content } = await caller.elicit({ message: 'Who is there?', form })
            names.push(action === 'accept' ? String(content['name']) : action)
          }
          return `Hello ${names.join(' and ')}.`
        },
      }),
      catalogTool({
        name: 'guess',
        description: 'Asks the model of the client.',
        args: z.object({ about: z.string() }),
        run: async ({ about }, caller) => (await caller.sample({ messages: [{ role: 'user', text: about }] })).text,
      }),
      catalogTool({
        name: 'wait',
        description: 'Waits until nobody does any more.',
        args: z.object({}),
        run: (_, { signal, by }) =>
          new Promise<string>((_, reject) =>
            signal.addEventListener('abort', () => {
              gone.push(by)
              reject(signal.reason)
            }),
          ),
      }),
      catalogTool({
        name: 'break',
        description: 'Fails in its own way.',
        args: z.object({}),
        run: () => {
          throw new Error('the password is 1234')
        },
      }),
      catalogTool({
        name: 'calculate',
        description: 'Not the one of the mesh.',
        args: z.object({}),
        run: () => 'mine',
      }),
      ownTool({
        name: 'twice',
        description: 'Doubles a number.',
        args: z.object({ n: z.number() }),
        run: ({ n }) => n * 2,
      }),
    ],
    resources: [
      {
        uri: 'library://pages',
        name: 'pages',
        description: 'How many there are.',
        read: () => String(pages),
        changes: async function* (_, signal) {
          while (!signal.aborted)
            yield await new Promise<void>((resolve, reject) => {
              turned = resolve
              signal.addEventListener('abort', () => reject(signal.reason), { once: true })
            })
        },
      },
      {
        uri: 'library://book/{+title}',
        name: 'book',
        description: 'A book.',
        mimeType: 'image/png',
        read: ({ title = '' }) => Buffer.from(title),
        complete: {
          title: (typed) => {
            if (typed === 'no') throw new TypeError('no')
            return ['a/b', 'a/c'].filter((title) => title.startsWith(typed))
          },
        },
      },
    ],
    prompts: [
      {
        name: 'review',
        description: 'A review.',
        args: {
          title: { description: 'of which', complete: () => ['Emma'] },
          tone: { description: 'how', optional: true },
        },
        say: ({ title, tone = 'kindly' }) => `Review ${title} ${tone}.`,
      },
    ],
  }

  before(async () => {
    const folders = [temporaryFolder(), temporaryFolder()] as const
    for (const folder of folders) undo.push(() => rmSync(folder, { recursive: true, force: true }))
    const [own, workspace] = folders
    data = own
    writeFileSync(join(workspace, 'notes one.txt'), 'one\ntwo\n')
    writeFileSync(join(workspace, 'pay.txt'), 'anna 7\n')
    mkdirSync(join(workspace, '.git'))
    mesh = await memoryMesh()
    undo.push(() => mesh.close())
    const box = await mesh.join('box', { roles: ['sandbox', 'worker'] })
    await serveSandbox(box, { workspace, profile: await loadProfile('code-workspace') })
    program = await mesh.join('program', { roles: ['supervisor'] })
    await serveCatalog(program, library)
    const front = await mesh.join('front', { roles: ['supervisor', 'gateway'] })
    await front.spawn(actor('approver', () => [on(AskApproval, () => ({ answer: 'refuse' as const, by: 'anna' }))]))
    // The rules that ship, but that no names are looked for: what reads names is long in coming.
    const rules = readRouterRules()
      .text.replace(/^tagger: .*$/m, 'tagger: { kinds: [] }')
      .replace(/^files: .*$/m, 'files: [{ path: pay.txt, label: RESTRICTED, categories: [FIN] }]')
    await serveElsewhere(await mesh.join('keys', { roles: ['router'] }), { rules })
    await eventually(() => {
      assert.equal(holderOf(front)?.rules, rules)
      assert.ok(front.find('catalog/library'))
    })
    const { authority } = mesh
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    const transport = await mesh.connect()
    tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: front.name })
    const policies = new PolicyBook(data, authority)
    const site = {
      tasks,
      workspace: { folder: workspace },
      policies,
      trail: { log: transport.log(addresses.auditStream), authority },
    }
    const file = new ApiKeys(data)
    for (const role of ['developer', 'admin', 'viewer', 'auditor'] as const)
      keys[role] = file.add(role, role, Date.now())
    const limits = { rate: { burst: 1000, perSecond: 1000 } }
    gateway = await openGateway({ node: front, data, host: '127.0.0.1', port: 0, site, limits })
    undo.push(() => gateway.close())
    // All nodes share this process, which may have stood still for longer than a lease while it loaded all that.
    await eventually(async () => {
      const { caller } = await client('developer', 'legacy')
      assert.match(wordsOf(await caller.callTool({ name: 'greet', arguments: {} })), /Hello Ada/)
      await caller.close()
    }, 60_000)
  })
  after(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })

  interface Heard {
    caller: Client
    logged: unknown[]
    updated: string[]
    asked: string[]
  }

  async function client(role: PeopleRole, mode: 'legacy' | 'auto', able = true): Promise<Heard> {
    const capabilities = able ? { elicitation: {}, sampling: {} } : {}
    const caller = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode }, capabilities })
    const heard: Heard = { caller, logged: [], updated: [], asked: [] }
    caller.setNotificationHandler('notifications/message', ({ params }) => void heard.logged.push(params.data))
    caller.setNotificationHandler(
      'notifications/resources/updated',
      ({ params }) => void heard.updated.push(params.uri),
    )
    if (able) {
      caller.setRequestHandler('elicitation/create', ({ params }) => {
        heard.asked.push(params.message)
        return ada
      })
      caller.setRequestHandler('sampling/createMessage', () => {
        heard.asked.push('model')
        return { role: 'assistant', model: 'theirs', content: { type: 'text', text: '42' } }
      })
    }
    const requestInit = { headers: { authorization: `Bearer ${keys[role]}` } }
    await caller.connect(new StreamableHTTPClientTransport(new URL(`${gateway.url}/mcp`), { requestInit }))
    return heard
  }
  const wordsOf = ({ content }: { content: unknown }) => JSON.stringify(content)

  for (const [era, mode] of [
    ['2025', 'legacy'],
    ['2026', 'auto'],
  ] as const) {
    it(`asks the person and the model of its caller in the middle of a tool, in the protocol of ${era}`, async () => {
      const { caller, asked, logged } = await client('developer', mode)
      assert.ok((caller.getNegotiatedProtocolVersion() ?? '').startsWith(era))
      const steps: (string | undefined)[] = []
      const onprogress = ({ message }: { message?: string | undefined }) => void steps.push(message)
      const greeted = await caller.callTool({ name: 'greet', arguments: { times: 2 } }, { onprogress })
      assert.match(wordsOf(greeted), /Hello Ada and Ada\./)
      assert.deepEqual([asked, steps[0]], [['Who is there?', 'Who is there?'], 'asking'])
      const guessed = await caller.callTool({ name: 'guess', arguments: { about: 'six times seven' } })
      assert.match(wordsOf(guessed), /42/)
      // A client of 2026 says with each request whether it wants lines.
      if (mode === 'legacy') assert.deepEqual(logged, ['asking'])
      await caller.close()
    })
  }

  it('asks nobody who cannot be asked, and no model outside what may not leave', async () => {
    const mute = await client('developer', 'legacy', false)
    assert.match(wordsOf(await mute.caller.callTool({ name: 'greet', arguments: {} })), /offers no elicitation/)
    await mute.caller.close()
    const { caller, asked } = await client('developer', 'legacy')
    const kept = await caller.callTool({ name: 'guess', arguments: { about: `whose account is ${iban}` } })
    assert.deepEqual([kept.isError, asked], [true, []])
    assert.match(wordsOf(kept), /may not be asked of a model outside/)
    await caller.close()
  })

  it('is on the trail before it is done, under one trace, and what fails in its own way is not told', async () => {
    const { caller } = await client('admin', 'legacy')
    assert.doesNotMatch(wordsOf(await caller.callTool({ name: 'break', arguments: {} })), /password/)
    assert.match(wordsOf(await caller.callTool({ name: 'greet', arguments: { times: 9 } })), /times/)
    await caller.close()
    await eventually(async () => {
      const events = await auditEvents(mesh)
      const trace = events.find(({ facts, kind }) => kind === 'gateway.asked' && facts['tool'] === 'break')?.trace
      const mine = events.filter((event) => event.trace === trace)
      assert.deepEqual(mine.map(({ kind, actor }) => `${actor} ${kind}`).sort(), [
        'catalog/library action.ended',
        'catalog/library action.intended',
        'mcp gateway.answered',
        'mcp gateway.asked',
      ])
      assert.equal(mine.find(({ kind }) => kind === 'action.intended')?.facts['by'], 'admin')
    })
  })

  it('can ask for a use that it was given, and no other program can', async () => {
    const [front, thief] = [
      await mesh.join('desk', { roles: ['gateway'] }),
      await mesh.join('thief', { roles: ['supervisor'] }),
    ]
    const desk = new Desk(front)
    const sampled = () => Promise.reject(new TypeError('garbage'))
    const use = { elicit: async () => ada, sample: sampled } as unknown as Use
    const question = { message: '?', form: { type: 'object' as const, properties: {} } }
    const number = await desk.open(use, program.name, async (name, number) => {
      // What goes wrong at one client takes the desk from nobody.
      const sample = program
        .ref(name)
        .ask(SampleCaller, { use: number, question: { messages: [{ role: 'user', text: '?' }] } })
      await assert.rejects(sample, { code: 'INTERNAL' })
      assert.deepEqual(await program.ref(name).ask(ElicitCaller, { use: number, question }), ada)
      await assert.rejects(thief.ref(name).ask(ElicitCaller, { use: number, question }), /Nobody waits for this/)
      return [name, number] as const
    })
    const late = program.ref(number[0]).ask(ElicitCaller, { use: number[1], question })
    await assert.rejects(late, /Nobody waits for this/)
    await desk.close()
  })

  it('has a tool that stands alone run in a sandbox, and never takes the name of another', async () => {
    const { caller } = await client('developer', 'legacy')
    const twice = await caller.callTool({ name: 'twice', arguments: { n: 21 } })
    assert.match(wordsOf(twice), /42/)
    assert.deepEqual(twice.structuredContent, { result: 42, node: 'box' })
    // A person who were asked would read first what it is.
    const codes = (await auditEvents(mesh)).map(({ facts }) => (facts['args'] as { code?: string } | undefined)?.code)
    assert.ok(codes.some((code) => code?.startsWith('// catalog/library/twice {"n":21}\n')))
    const sum = await caller.callTool({ name: 'calculate', arguments: { expression: '1 + 1' } })
    assert.match(wordsOf(sum), /2/)
    await caller.close()
  })

  it('ends what a caller who has gone asked for', async () => {
    const { caller } = await client('admin', 'legacy')
    const stop = new AbortController()
    const waiting = caller.callTool({ name: 'wait', arguments: {} }, { signal: stop.signal })
    await eventually(async () => {
      const begun = (await auditEvents(mesh)).some(
        ({ facts, kind }) => kind === 'action.intended' && facts['tool'] === 'catalog/library/wait',
      )
      assert.ok(begun)
    })
    stop.abort()
    await assert.rejects(waiting)
    await eventually(() => assert.deepEqual(gone, ['admin']))
    await caller.close()
  })

  it('is read, completed and followed', async () => {
    const { caller, updated } = await client('developer', 'legacy')
    const [page] = (await caller.readResource({ uri: 'library://pages' })).contents
    assert.equal(page && 'text' in page && page.text, '1')
    const [book] = (await caller.readResource({ uri: 'library://book/a/b%20c' })).contents
    assert.equal(book && 'blob' in book && Buffer.from(book.blob, 'base64').toString(), 'a/b c')
    const ref = { type: 'ref/resource' as const, uri: 'library://book/{+title}' }
    const { completion } = await caller.complete({ ref, argument: { name: 'title', value: 'a/b' } })
    assert.deepEqual(completion.values, ['a/b'])
    await assert.rejects(caller.complete({ ref, argument: { name: 'title', value: 'no' } }), /failed/)
    await caller.subscribeResource({ uri: 'library://pages' })
    await eventually(() => {
      pages = 2
      turned()
      assert.deepEqual([...new Set(updated)], ['library://pages'])
    })
    await caller.unsubscribeResource({ uri: 'library://pages' })
    for (const uri of ['library://none', `library://book/${'x'.repeat(2000)}`])
      await assert.rejects(caller.readResource({ uri }), /not found/i)
    await caller.close()
  })

  it('is there for those who use it, however many follow it', async () => {
    const crowd = await mesh.join('crowd', { roles: ['gateway'] })
    await eventually(() => assert.ok(crowd.find('catalog/library')))
    const library = crowd.ref('catalog/library')
    const stop = new AbortController()
    setMaxListeners(0, stop.signal)
    const asked = { resource: 'library://pages', places: {} }
    const follow = async () => {
      for await (const _ of library.stream(FollowResource, asked, { signal: stop.signal, timeoutMs: 60_000 }));
    }
    const followers = Array.from({ length: 140 }, follow)
    const refused = followers.map((each) => assert.rejects(each, { code: 'RATE_LIMITED' }))
    const book = { of: 'resource' as const, name: 'library://book/{+title}', argument: 'title', typed: 'a/b' }
    assert.deepEqual(await library.ask(CompleteArgument, book, { timeoutMs: 60_000 }), { values: ['a/b'] })
    await Promise.any(refused)
    stop.abort()
    await Promise.allSettled([...followers, ...refused])
    await crowd.close()
  })

  it('takes the addresses of no other', () => {
    for (const uri of ['{any}://book/{+path}', 'no{x}://book', 'clawmesh://workspace/a', 'Clawmesh://tasks/{id}']) {
      const own = { name: 'thief', resources: [{ uri, name: 'all', description: '', read: () => '' }] }
      assert.throws(() => checkCatalog(own), { code: 'USAGE' }, uri)
    }
  })

  it('says its prompts, and what an argument may be', async () => {
    const { caller } = await client('developer', 'legacy')
    const { prompts } = await caller.listPrompts()
    assert.deepEqual(
      prompts.map(({ name, arguments: args }) => [name, args?.map(({ required }) => required)]),
      [['review', [true, false]]],
    )
    const { messages } = await caller.getPrompt({ name: 'review', arguments: { title: 'Emma' } })
    assert.match(JSON.stringify(messages), /Review Emma kindly\./)
    await assert.rejects(caller.getPrompt({ name: 'review', arguments: {} }), /needs title/)
    const ref = { type: 'ref/prompt' as const, name: 'review' }
    const { completion } = await caller.complete({ ref, argument: { name: 'title', value: '' } })
    assert.deepEqual(completion.values, ['Emma'])
    await caller.close()
  })

  it('is nobody else’s than whose role may use it', async () => {
    const { caller } = await client('viewer', 'legacy')
    const [listed, said] = [await caller.listResources(), await caller.listPrompts()]
    assert.deepEqual([listed.resources, said.prompts], [[], []])
    await assert.rejects(caller.readResource({ uri: 'library://pages' }), /role viewer may not use library:\/\/pages/)
    await assert.rejects(caller.callTool({ name: 'greet', arguments: {} }), /role viewer may not use greet/)
    await caller.close()
  })

  it('is served by no node that may not have things done', async () => {
    const worker = await mesh.join('worker', { roles: ['worker', 'sandbox'] })
    await assert.rejects(serveCatalog(worker, { name: 'trap' }), /may not put a catalog before MCP clients/)
    const trap = {
      name: 'trap',
      description: 'Takes all.',
      schema: { type: 'object' },
      readOnly: true,
      sandboxed: true,
    }
    const described = { tools: [trap], resources: [], prompts: [] }
    // As many as are offered at most, and before the library.
    const traps = Array.from({ length: 64 }, (_, index) => `catalog/a-trap-${index}`)
    await Promise.all(traps.map((as) => worker.spawn(actor(as, () => [on(DescribeCatalog, () => described)]))))
    const { caller } = await client('admin', 'legacy')
    const names = (await caller.listTools()).tools.map(({ name }) => name)
    assert.deepEqual([names.includes('greet'), names.includes('trap')], [true, false])
    await caller.close()
  })

  describe('and the mesh itself', () => {
    it('shows the files of the workspace through its sandbox', async () => {
      const { caller } = await client('developer', 'legacy')
      const { resources } = await caller.listResources()
      assert.ok(resources.some(({ uri }) => uri === 'clawmesh://workspace/notes%20one.txt'))
      const [file] = (await caller.readResource({ uri: 'clawmesh://workspace/notes%20one.txt' })).contents
      assert.equal(file && 'text' in file && file.text, 'one\ntwo\n')
      await assert.rejects(caller.readResource({ uri: 'clawmesh://workspace/%2Fetc%2Fpasswd' }), /refused/)
      const ref = { type: 'ref/resource' as const, uri: 'clawmesh://workspace/{+path}' }
      const { completion } = await caller.complete({ ref, argument: { name: 'path', value: 'no' } })
      assert.deepEqual(completion.values, ['notes one.txt'])
      await caller.close()
    })

    it('keeps files of a label from whom a policy says, as resources and by tools', async () => {
      const own = join(data, 'people.cedar')
      const kept = 'context has label && context.label == Label::"RESTRICTED"'
      const who = 'principal in Role::"developer", action == Action::"useTool", resource'
      writeFileSync(own, `@id("kept") forbid (${who}) when { ${kept} };`)
      const uri = 'clawmesh://workspace/pay.txt'
      const { caller } = await client('developer', 'legacy')
      await assert.rejects(caller.readResource({ uri }), /forbidden by own:kept/)
      for (const [name, path] of [
        ['read_file', './pay.txt'],
        ['count_words', 'pay.txt'],
        ['list_files', undefined],
      ] as const)
        await assert.rejects(caller.callTool({ name, arguments: path === undefined ? {} : { path } }), /own:kept/)
      const { resources } = await caller.listResources()
      assert.deepEqual(
        resources.map((each) => each.uri).filter((each) => each.startsWith('clawmesh://workspace/')),
        ['clawmesh://workspace/notes%20one.txt'],
      )
      const ref = { type: 'ref/resource' as const, uri: 'clawmesh://workspace/{+path}' }
      const { completion } = await caller.complete({ ref, argument: { name: 'path', value: 'p' } })
      assert.deepEqual(completion.values, [])
      assert.ok(!(await caller.callTool({ name: 'count_lines', arguments: { path: 'notes one.txt' } })).isError)
      const admin = await client('admin', 'legacy')
      const [pay] = (await admin.caller.readResource({ uri })).contents
      assert.equal(pay && 'text' in pay && pay.text, 'anna 7\n')
      rmSync(own)
      for (const each of [caller, admin.caller]) await each.close()
    })

    it('tells whoever subscribes to a task of each step, and nobody who may not read it', async () => {
      const task = await tasks.begin({ request: 'count' })
      const uri = `clawmesh://tasks/${task.id}`
      const { caller, updated } = await client('auditor', 'legacy')
      await caller.subscribeResource({ uri })
      await task.step('plan', { result: z.number(), repeatable: true }, async () => 1)
      await eventually(() => assert.ok(updated.includes(uri)))
      const [record] = (await caller.readResource({ uri })).contents
      assert.match(String(record && 'text' in record && record.text), /"request":"count".*"name":"plan"/)
      const viewer = await client('viewer', 'legacy')
      await assert.rejects(viewer.caller.subscribeResource({ uri }), /role viewer may not use/)
      await viewer.caller.close()
      // Whoever may not any more hears nothing more.
      const own = join(data, 'people.cedar')
      writeFileSync(own, '@id("none") forbid (principal == User::"auditor", action == Action::"readTasks", resource);')
      const heard = updated.length
      const admin = await client('admin', 'legacy')
      await admin.caller.subscribeResource({ uri })
      await task.step('mail', { result: z.number(), repeatable: true }, async () => 1)
      await eventually(() => assert.ok(admin.updated.includes(uri)))
      await caller.ping()
      assert.equal(updated.length, heard)
      rmSync(own)
      await admin.caller.close()
      await caller.close()
    })

    it('has a session for nobody but the key that began it', async () => {
      const headers = { accept: 'application/json, text/event-stream' }
      const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } }
      const body = { jsonrpc: '2.0', id: 1, method: 'initialize', params }
      const begun = await ask(gateway.url, '/mcp', { method: 'POST', body, headers, key: keys['developer'] })
      const id = String(begun.headers['mcp-session-id'])
      const list = { jsonrpc: '2.0', id: 2, method: 'tools/list' }
      const by = async (role: string, method = 'POST') => {
        const more = method === 'POST' ? { body: list } : {}
        return (
          await ask(gateway.url, '/mcp', {
            method,
            ...more,
            headers: { ...headers, 'mcp-session-id': id },
            key: keys[role],
          })
        ).status
      }
      assert.deepEqual([await by('admin'), await by('developer')], [404, 200])
      assert.deepEqual(
        [await by('admin', 'DELETE'), await by('developer', 'DELETE'), await by('developer')],
        [404, 200, 404],
      )
    })

    it('has so many sessions for a key and no more: the one that was used least ends', async () => {
      const headers = { accept: 'application/json, text/event-stream' }
      const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } }
      const key = keys['auditor']
      const begin = async () => {
        const body = { jsonrpc: '2.0', id: 1, method: 'initialize', params }
        return String(
          (await ask(gateway.url, '/mcp', { method: 'POST', body, headers, key })).headers['mcp-session-id'],
        )
      }
      const [first = '', ...rest] = await Promise.all(Array.from({ length: 33 }, begin))
      const body = { jsonrpc: '2.0', id: 2, method: 'tools/list' }
      const statusOf = async (id: string) =>
        (await ask(gateway.url, '/mcp', { method: 'POST', body, headers: { ...headers, 'mcp-session-id': id }, key }))
          .status
      assert.deepEqual([await statusOf(first), await statusOf(rest.at(-1) ?? '')], [404, 200])
    })
  })
})
