/**
 * What only the node with the keys knows of a prompt: that the money is spent, or what a model of the mesh judged it to be. The judging model is asked through
 * the mesh, on a real server of this machine that says what the test has it say.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it, mock } from 'node:test'
import { OpenAiBackend } from '../../inference/openai/backend.js'
import type { MeshNode } from '../../mesh/index.js'
import { opinionOf } from '../../nodes/agents/model/opinion.js'
import { openSession } from '../../nodes/agents/model/privacy.js'
import { think } from '../../nodes/agents/model/think.js'
import { serveElsewhere } from '../../nodes/elsewhere.js'
import { serveModel } from '../../nodes/process/serve.js'
import { spendingFile } from '../../nodes/router-rules.js'
import type { Label } from '../../policies/router-label.js'
import type { Opinion } from '../../router/opinion.js'
import { ProviderStore } from '../../router/provider/store.js'
import { type Answer, type ModelServer, serve } from '../inference/openai/server.js'
import { memoryMesh, type TestMesh, temporaryFolder } from '../kit/mesh.js'
import { type Cloud, openCloud } from '../router/cloud.js'
import { secretKey, shipped } from '../router/kit.js'

const rules = shipped
  .replace(/^elsewhere: \[\]$/m, 'elsewhere: [cloud/large]')
  .replace('\nbudgets: []', '\nbudgets: [{ name: month, limit: 3, per: month }]')
  .replace(/^on_error/m, `judge: { model: local, seconds: 60 }\non_error`)
  .replace(/^tagger: .*$/m, 'tagger: { kinds: [] }')
  .replace(/^order: \{\}$/m, 'order: { prices: [{ model: cloud/large, upTo: hard, input: 0, output: 1000000 }] }')
  .replace(/(- name: the-rest-may-leave\n\s+when: )\{\}/, '$1{ within: [month] }')

function answer(response: ServerResponse, content: string): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const choice = { delta: { content }, finish_reason: 'stop' }
  response.end(`data: ${JSON.stringify({ choices: [choice] })}\n\ndata: [DONE]\n\n`)
}

describe('a prompt that the node with the keys keeps', () => {
  let mesh: TestMesh
  let cloud: Cloud
  let local: ModelServer
  let holder: MeshNode
  let here: MeshNode
  let judging: Answer
  /** How long the judging model is waited for. */
  let seconds = 60
  let count = 0
  const undo: (() => unknown)[] = []
  const says = (text: string) => {
    judging = (response) => answer(response, text)
  }
  const opinions = () => local.asked.filter(isOpinion)
  const isOpinion = (body: string): boolean => body.includes('You label texts')

  before(async () => {
    const folder = temporaryFolder()
    undo.push(() => rmSync(folder, { recursive: true, force: true }))
    cloud = await openCloud()
    undo.push(() => cloud.close())
    local = await serve(JSON.stringify({ data: [{ id: 'local' }] }), (response, body) =>
      isOpinion(body) ? judging(response, body) : answer(response, 'said here'),
    )
    undo.push(() => local.close())
    const store = new ProviderStore(join(folder, 'providers.sealed'), randomBytes(32))
    store.add('cloud', { form: 'openai', url: cloud.url, key: secretKey, models: ['large'] })
    mesh = await memoryMesh()
    undo.push(() => mesh.close())
    holder = await mesh.join('operator', { roles: ['authority', 'supervisor', 'gateway'] })
    const opinion: Opinion = (judge, ...asked) => opinionOf(holder)({ ...judge, seconds }, ...asked)
    await serveElsewhere(holder, { rules, store, spending: spendingFile(folder), opinion })
    here = await mesh.join('here', { roles: ['supervisor'] })
    const model = await mesh.join('model', { roles: ['inference'] })
    await serveModel(model, await OpenAiBackend.open({ url: local.url }))
    for (const node of [here, holder]) {
      await node.directory.wait(() => node.directory.node('model')?.advert['model'], 60_000)
      await node.directory.wait(() => node.directory.node('operator')?.advert['elsewhere'], 60_000)
    }
  })
  after(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })
  beforeEach(() => {
    cloud.sent.length = 0
    local.asked.length = 0
    seconds = 60
    says('{"label": "INTERNAL"}')
  })

  /** Each may take one of the three that the month has. */
  const ask = async (content: string, model: string, seen?: Label) => {
    const trace = `task-${++count}`
    const session = await openSession(here, trace, seen && { label: seen, categories: [] })
    const request = { messages: [{ role: 'user' as const, content }], maxTokens: 1, temperature: 0 }
    const thinking = {
      ...{ session, model, actor: 'test', trace },
      ...{ deadline: here.now() + 60_000, signal: new AbortController().signal },
    }
    const { text } = await think(here, request, thinking)
    return { text, label: session.sensitivity.label }
  }
  const plan = 'We tell the staff in Lisbon next week that we close.'
  const isKept = (model: Promise<unknown>, message: RegExp) => assert.rejects(model, { code: 'DENIED', message })
  // What was held for what did not leave after all is there again: nothing of this has taken any of the money.
  const nothingLeft = () => assert.deepEqual(cloud.sent, [])

  it('is of a higher label once the judging model says so, and goes to a model of the mesh where it may', async () => {
    const record = mock.method(here.audit, 'record')
    says('```json\n{"label": "CONFIDENTIAL"}\n```')
    await isKept(ask(plan, 'cloud/large'), /local, which the rules have judge it, says CONFIDENTIAL/)
    assert.deepEqual(await ask(plan, 'auto'), { text: 'said here', label: 'CONFIDENTIAL' })
    assert.match(opinions()[0] ?? '', /We tell the staff in Lisbon/)
    nothingLeft()
    const uses = record.mock.calls.flatMap(({ arguments: [{ kind, facts }] }) => (kind === 'model.used' ? [facts] : []))
    record.mock.restore()
    assert.deepEqual(
      uses.map(({ model: used }) => used),
      ['local'],
      'what was refused is no question that cost anything',
    )
  })

  it('stays where the judging model gives no label, or none in time', async () => {
    for (const text of [
      '',
      'It is fine.',
      '{"label": "HARMLESS"}',
      '{"label": "PUBLIC"} or {"label": "RESTRICTED"}',
      'not PUBLIC',
    ]) {
      says(text)
      await isKept(ask(plan, 'cloud/large'), /gave no label/)
    }
    judging = (response) => void response.writeHead(500).end()
    await isKept(ask(plan, 'cloud/large'), /gave no label/)
    judging = () => undefined
    seconds = 1
    assert.equal((await ask(plan, 'auto')).text, 'said here')
    nothingLeft()
  })

  it('is no less sensitive for what the judging model says, which is not asked of what stays anyway', async () => {
    says('{"label": "PUBLIC"}')
    await isKept(ask('The patient was diagnosed with diabetes.', 'cloud/large'), /health-stays/)
    await isKept(ask(plan, 'cloud/large', 'CONFIDENTIAL'), /confidential-stays/)
    assert.deepEqual(opinions(), [])
    nothingLeft()
  })

  it('leaves until the money of the month is spent, and is then asked of the mesh, whoever asks', async () => {
    const answers = []
    for (let asked = 0; asked < 4; asked += 1) answers.push((await ask('hello', 'auto')).text)
    assert.deepEqual(answers, ['ok', 'ok', 'ok', 'said here'])
    await isKept(ask('hello', 'cloud/large'), /spent is month/)
    assert.equal(cloud.sent.length, 3)
    assert.equal(opinions().length, 3)
  })
})
