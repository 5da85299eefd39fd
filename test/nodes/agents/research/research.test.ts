/** A research on real files, read in a real sandbox, with a provider that records every byte. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import type { GenerateRequest } from '../../../../inference/backend.js'
import { addressesOf } from '../../../../mesh/address.js'
import type { MeshNode } from '../../../../mesh/index.js'
import { openTasks, type Tasks } from '../../../../mesh/task/tasks.js'
import { readPrices } from '../../../../nodes/agents/model/costs.js'
import { distinct, locate, passagesOf } from '../../../../nodes/agents/research/evidence.js'
import { type KeptResearch, keepResearch, researchOf } from '../../../../nodes/agents/research/kept.js'
import { readPlan, readQuotes } from '../../../../nodes/agents/research/prompt.js'
import { reader } from '../../../../nodes/agents/research/reader.js'
import { type ResearchResult, research } from '../../../../nodes/agents/research/research.js'
import { serveElsewhere } from '../../../../nodes/elsewhere.js'
import { serveModel } from '../../../../nodes/process/serve.js'
import type { Prices } from '../../../../policies/prices.js'
import { parseProfile } from '../../../../policies/profile.js'
import type { Category, Label } from '../../../../policies/router-label.js'
import { ProviderStore } from '../../../../router/provider/store.js'
import { resolver } from '../../../../sandbox/egress/resolve.js'
import { sandboxName, sandboxService } from '../../../../sandbox/service.js'
import { memoryMesh, type TestMesh, temporaryFolder } from '../../../kit/mesh.js'
import { RuleBackend } from '../../../kit/rules.js'
import { type Cloud, openCloud, streamChunks } from '../../../router/cloud.js'
import { secretKey, shipped } from '../../../router/kit.js'
import { nameServer } from '../../../sandbox/name-server.js'

const rules = shipped
  .replace(/^elsewhere: \[\]$/m, 'elsewhere: [cloud/large]')
  .replace(/^files: \[\]$/m, 'files: [{ path: board, label: RESTRICTED, categories: [FIN] }]')
const question = 'Where does the printer stand?'
const files = {
  'notes.txt': 'Monday.\r\nThe printer  stands on\r\nthe second floor.\n\nPaper is in the cellar.\n',
  'more.txt': `${'Nothing of it.\n'.repeat(400)}The printer was moved in May.\n`,
  'board/plan.txt': 'We move the printer works to Lisbon.\n',
  'door.txt': 'The printer opens with AKIAIOSFODNN7EXAMPLE and the key wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY.\n',
}

describe('a research', () => {
  let mesh: TestMesh
  let cloud: Cloud
  let node: MeshNode
  let workspace: string
  let port = 0
  const fetched: string[] = []
  const asked: GenerateRequest[] = []
  const undo: (() => unknown)[] = []

  /** Plans by one question, copies every line that names a printer, makes one up, and writes what it is given. */
  const local = new RuleBackend((request) => {
    asked.push(request)
    const [system = '', user = ''] = request.messages.map(({ content }) => content)
    if (system.startsWith('You plan')) return `Let me think. {"questions": ["${question}"]}`
    if (system.startsWith('You answer')) return 'Written here [1].'
    const source = user.slice(user.indexOf(':\n', user.indexOf('Source ')) + 2)
    const words = source.match(/[^.]*printer[^.]*\./g) ?? []
    return JSON.stringify({
      quotes: [...words.map((quote) => quote.replace(/\s+/g, ' ')), 'The printer is on the moon.'],
    })
  })

  before(async () => {
    const folder = temporaryFolder()
    undo.push(() => rmSync(folder, { recursive: true, force: true }))
    workspace = join(folder, 'workspace')
    mkdirSync(join(workspace, 'board'), { recursive: true })
    for (const [name, text] of Object.entries(files)) writeFileSync(join(workspace, name), text)
    cloud = await openCloud()
    undo.push(() => cloud.close())
    const store = new ProviderStore(join(folder, 'providers.sealed'), randomBytes(32))
    store.add('cloud', { form: 'openai', url: cloud.url, key: secretKey, models: ['large'] })
    mesh = await memoryMesh()
    undo.push(() => mesh.close())
    node = await mesh.join('operator', { roles: ['authority', 'supervisor', 'gateway'] })
    await serveElsewhere(node, { rules, store })
    const here = await mesh.join('here', { roles: ['worker', 'sandbox'] })
    const page = createServer((request, response) => {
      fetched.push(request.url ?? '')
      response
        .setHeader('content-type', 'text/html')
        .end('<h1>News.</h1><p>The printer is on the <b>third</b> floor.</p>')
    })
    await new Promise<void>((ready) => page.listen(0, '127.0.0.1', ready))
    undo.push(() => page.close())
    port = (page.address() as AddressInfo).port
    const names = await nameServer({ 'news.example.org': ['127.0.0.1'] })
    undo.push(() => names.close())
    const profile = parseProfile(`
filesystem_policy: { read_only: [.] }
network_policies:
  news:
    endpoints: [{ host: news.example.org, port: ${port}, allowed_ips: [127.0.0.1] }]
    binaries: [{ path: "tool:http_fetch" }]`)
    const service = sandboxService(here, { workspace, profile, resolve: resolver([names.place]) })
    await here.spawn(service, { as: sandboxName('here') })
    await here.directory.describe({ sandbox: true })
    for (const name of ['reader-1', 'reader-2']) await here.spawn(reader(here), { as: name })
    await serveModel(await mesh.join('model', { roles: ['inference'] }), local)
    await node.directory.wait(() => node.directory.node('model')?.advert['model'], 60_000)
    await here.directory.wait(() => here.directory.node('model')?.advert['model'], 60_000)
    await here.directory.wait(() => here.directory.node('operator')?.advert['elsewhere'], 60_000)
  })
  after(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })
  afterEach(() => {
    cloud.sent.length = 0
    asked.length = 0
    cloud.answer = (_, response) =>
      streamChunks(response, ['It stands on the second floor [2]', '. It was moved [1][9].'])
  })

  const about = (...sources: string[]): Promise<ResearchResult> =>
    research(node, { question, sources, readers: ['reader-1', 'reader-2'] }, { ms: 60_000 })
  const wroteHere = () => asked.filter(({ messages }) => messages[0]?.content.startsWith('You answer'))

  it('is written by one call elsewhere where all of the evidence may leave, and names the places of its words', async () => {
    cloud.answer = (_, response) =>
      streamChunks(response, ['It stands on the second floor [2]', '. It was moved [1][9].'])
    const { answer, evidence, writer, unknownCitations, madeUp, bill } = await about('notes.txt', 'more.txt')
    assert.deepEqual([writer, unknownCitations], [{ model: 'cloud/large', zone: 'elsewhere', reason: '' }, [9]])
    assert.equal(answer, 'It stands on the second floor [2]. It was moved [1][9].')
    assert.deepEqual(
      evidence.map(({ place, cited }) => [place, cited]),
      [
        ['more.txt:401', true],
        ['notes.txt:2-3', true],
      ],
    )
    for (const { path, characters, quote } of evidence)
      assert.equal(readFileSync(join(workspace, path), 'utf8').slice(...characters), quote)
    // One made up for each passage of both files.
    assert.ok(madeUp >= 3, `${madeUp}`)
    assert.equal(cloud.sent.length, 1)
    assert.match(cloud.sent[0] ?? '', /The printer was moved in May/)
    assert.doesNotMatch(cloud.sent[0] ?? '', /cellar|moon/)
    assert.deepEqual(wroteHere(), [])
    assert.deepEqual(
      bill.lines.map(({ role, zone }) => [role, zone]),
      [
        ['plan', 'mesh'],
        ['read', 'mesh'],
        ['write', 'elsewhere'],
      ],
    )
    assert.ok(bill.frontier > 0 && bill.prices === 'example-1')
  })

  it('stays here whole where one piece has to, and says which', async () => {
    const { answer, writer, evidence } = await about('notes.txt', 'board/plan.txt')
    assert.equal(answer, 'Written here [1].')
    assert.deepEqual([writer.model, writer.zone], ['rules', 'mesh'])
    assert.match(writer.reason, /^board\/plan\.txt:1 stays here by the rule /)
    assert.equal(evidence.length, 2)
    assert.deepEqual(cloud.sent, [])
  })

  it('reads pages too, where the policy lets them be reached, and nothing of what was seen goes there', async () => {
    const url = `http://news.example.org:${port}/today`
    const { evidence, unread } = await about(url, 'notes.txt', `http://other.example.org:${port}/`)
    assert.deepEqual(
      evidence.map(({ place, quote }) => [place, quote]),
      [
        [`${url}:2`, 'The printer is on the third floor.'],
        ['notes.txt:2-3', 'The printer  stands on\r\nthe second floor.'],
      ],
    )
    assert.deepEqual([fetched, unread.length], [['/today'], 1])
    assert.match(unread[0] ?? '', /other\.example\.org:\d+ cannot be reached/)
  })

  it('is written here where nobody answers elsewhere', async () => {
    cloud.answer = (_, response) => response.writeHead(400).end('{}')
    const { writer } = await about('notes.txt')
    assert.equal(writer.zone, 'mesh')
    assert.match(writer.reason, /^cloud\/large wrote nothing: /)
  })

  it('is refused where a piece of evidence is a secret, and no model sees it', async () => {
    await assert.rejects(about('door.txt'), /door\.txt: The rule \S+ blocks this prompt/)
    assert.deepEqual([cloud.sent, wroteHere()], [[], []])
  })

  describe('that is a task', () => {
    let tasks: Tasks
    before(async () => {
      const { authority } = mesh
      const addresses = addressesOf(authority.mesh, authority.meshKey)
      tasks = await openTasks({ transport: await mesh.connect(), addresses, key: authority.tasksKey, by: 'test' })
    })
    const kept = (
      file: string,
      { allowed, signal = new AbortController().signal, prices }: Partial<KeptResearch> & { prices?: Prices } = {},
    ) =>
      keepResearch(
        node,
        tasks,
        researchOf(question, { workspace: { folder: workspace }, files: [file], urls: [] }, 'Ada'),
        { allowed, signal, progress: () => undefined },
        (task, until) =>
          research(
            node,
            {
              question,
              sources: [file],
              readers: ['reader-1', 'reader-2'],
              sizeOf: () => 100,
              ...(prices && { prices }),
            },
            { task, signal: until, ms: 60_000 },
          ),
      )
    const newest = async () => (await tasks.list()).at(-1) ?? assert.fail('there is none')

    it('goes on where it was cut off: what was planned and read is not asked for again, and is in the bill', async () => {
      const stop = new AbortController()
      cloud.answer = () => stop.abort(new Error('its process died'))
      await assert.rejects(kept('notes.txt', { signal: stop.signal }))
      const { id, state, steps } = await newest()
      assert.deepEqual([state, steps.map((step) => step.state)], ['unfinished', ['done', 'done', 'cut off']])
      asked.length = 0
      cloud.answer = (_, response) => streamChunks(response, ['On the second floor [1].'])
      const { answer, trace, bill } = await kept('notes.txt')
      assert.deepEqual([answer, trace, asked], ['On the second floor [1].', id, []])
      assert.deepEqual(
        bill.lines.map(({ role }) => role),
        ['plan', 'read', 'write'],
      )
      assert.equal((await newest()).state, 'ended')
    })

    it('has a budget: set aside, billed, never more than it has, and no model without a price is asked', async () => {
      const prices = readPrices()
      const { writer } = await kept('notes.txt', { allowed: { budget: { money: 1, tokens: 200_000 } }, prices })
      assert.deepEqual([writer.zone, cloud.sent], ['mesh', []])
      assert.equal(writer.reason, 'the price table has no price for cloud/large')
      const { budget } = await newest()
      const { spent, reserved } = budget ?? assert.fail('it has none')
      // Ten of each prompt, and the words of the three answers.
      assert.ok((spent.tokens ?? 0) > 30 && (spent.tokens ?? 0) < 1000 && !reserved.tokens, JSON.stringify(budget))
      asked.length = 0
      // A second of the mesh costs a unit, so that nothing can be set aside for a minute of it.
      const dear = { ...prices, mesh: { hour: 3600 } }
      await assert.rejects(kept('notes.txt', { allowed: { budget: { money: 2 } }, prices: dear }), {
        code: 'BUDGET_SPENT',
        message: /has 2 of its money left; plan may take (59\.9|60)/,
      })
      assert.deepEqual(asked, [])
      assert.equal((await newest()).state, 'ended')
    })

    it('asks a provider that breaks off, and is paid, no more often than its budget lasts for', async () => {
      cloud.answer = (_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.end(`data: ${JSON.stringify({ choices: [{ delta: { content: 'half' } }] })}\n\n`)
      }
      const tokens = 4700
      await assert.rejects(kept('notes.txt', { allowed: { budget: { tokens } } }), { code: 'BUDGET_SPENT' })
      const most = cloud.sent.map((each) => {
        const { messages, max_tokens } = JSON.parse(each.slice(each.indexOf('\n\n') + 2))
        return Buffer.byteLength(JSON.stringify(messages)) + max_tokens
      })
      assert.ok(most.length > 0 && most.reduce((sum, each) => sum + each, 0) <= tokens, most.join())
    })

    it('has an end: what is under way is cut off then', async () => {
      cloud.answer = () => undefined
      await assert.rejects(kept('more.txt', { allowed: { ms: 800 } }), {
        code: 'BUDGET_SPENT',
        message: /^The time of task .* was over/,
      })
      assert.equal((await newest()).state, 'ended')
    })
  })

  it('says what it could not read, and that it found nothing', async () => {
    const { unread } = await about('notes.txt', 'gone.txt')
    assert.equal(unread.length, 1)
    assert.match(unread[0] ?? '', /^gone\.txt: /)
    await assert.rejects(about('gone.txt'), { code: 'TASK_FAILED' })
  })
})

describe('evidence', () => {
  it('is found where it stands, whatever the spaces, and nowhere else', () => {
    const [passage] = passagesOf('a\nThe  cat\nsat. (x)*\n', 100)
    assert.ok(passage)
    assert.deepEqual(locate('The cat sat.', passage), { quote: 'The  cat\nsat.', lines: [2, 3], characters: [2, 15] })
    assert.deepEqual(locate('(x)*', passage)?.lines, [3, 3])
    for (const wrong of ['the cat', 'The cat sits', ' ', '(x)+']) assert.equal(locate(wrong, passage), undefined)
  })

  it('is read in passages that make the source', () => {
    const text = 'one\ntwo\n\nlonger than that\nend'
    const passages = passagesOf(text, 9)
    assert.equal(passages.map((each) => each.text).join(''), text)
    for (const { text: part, character, line } of passages) {
      assert.equal(text.slice(character, character + part.length), part)
      assert.equal(text.slice(0, character).split('\n').length, line)
    }
  })

  it('is each place once, without what a longer quote holds', () => {
    const piece = (from: number, to: number) => ({
      path: 'a',
      lines: [1, 1] as [number, number],
      characters: [from, to] as [number, number],
      quote: '',
      seen: { label: 'PUBLIC', categories: [] } as const,
    })
    assert.deepEqual(
      distinct([piece(5, 9), piece(0, 9), piece(5, 9), piece(8, 12)]).map(({ characters }) => characters),
      [
        [0, 9],
        [8, 12],
      ],
    )
    const seen = (label: Label, ...categories: Category[]) => ({ ...piece(0, 9), seen: { label, categories } })
    assert.deepEqual(
      distinct([seen('INTERNAL', 'FIN'), seen('RESTRICTED', 'PHI'), seen('PUBLIC')]).map((each) => each.seen),
      [{ label: 'RESTRICTED', categories: ['PHI', 'FIN'] }],
    )
  })

  it('is taken from answers as models give them', () => {
    assert.deepEqual(readQuotes('Sure!\n```json\n{"quotes": ["a {b}"]}\n```'), ['a {b}'])
    assert.equal(readQuotes('no'), undefined)
    assert.deepEqual(readPlan('no', 'q'), ['q'])
  })
})
