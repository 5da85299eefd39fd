/** A model's process, and then its node's, is killed in the middle of an answer: another node of the same model ends it, with no token lost and none twice. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { collect, type GenerateRequest } from '../../inference/backend.js'
import { OnnxBackend } from '../../inference/onnx/backend.js'
import type { MeshNode } from '../../mesh/index.js'
import { openSession } from '../../nodes/agents/model/privacy.js'
import { think } from '../../nodes/agents/model/think.js'
import { readConfig } from '../../nodes/config.js'
import { type DataFolder, openDataFolder } from '../../nodes/data-folder.js'
import { sentBy } from '../../nodes/process/sent.js'
import { serveModel } from '../../nodes/process/serve.js'
import { type Site, startSite } from '../../nodes/site.js'
import { ClawmeshError } from '../../policies/errors.js'
import { llamaModel } from '../inference/onnx/llama.js'
import { childrenOf } from '../kit/children.js'
import { eventually } from '../kit/eventually.js'
import { memoryMesh, temporaryFolder } from '../kit/mesh.js'
import { RuleBackend } from '../kit/rules.js'

describe('an answer whose model is killed', () => {
  const data = temporaryFolder()
  let folder: DataFolder
  let site: Site
  let request: GenerateRequest
  let expected: string
  before(async () => {
    const model = await llamaModel({ layers: 2, hidden: 64, heads: 4, ffn: 96, vocabulary: 262, context: 512 }, 'rows')
    request = { messages: [{ role: 'user', content: 'tell me all' }], maxTokens: 300, temperature: 0.9, seed: 5 }
    const alone = await OnnxBackend.open({ folder: model })
    expected = (await collect(alone.generate(request))).text
    await alone.dispose()
    folder = openDataFolder(data)
    site = await startSite({
      config: readConfig(),
      folder,
      port: 0,
      nodes: ['one', 'two'].map((name) => ({
        name,
        roles: ['inference'],
        plan: { inference: { probe: false, folder: model } },
      })),
      progress: () => undefined,
      onFailure: (error) => assert.fail(error),
    })
    await eventually(() => assert.equal(site.node.nodes().filter(({ advert }) => advert['model']).length, 2))
  })
  after(async () => {
    await site?.close()
    folder.release()
    rmSync(data, { recursive: true, force: true })
  })

  /** Which processes to kill, of the one of the node that is answering. */
  const kills: [string, (node: number) => number[]][] = [
    ['alone', (node) => childrenOf(node)],
    ['with its node', (node) => [node]],
  ]
  for (const [what, doomed] of kills)
    it(`${what} is ended by another, from the very token on`, async () => {
      const served: string[] = []
      let pieces = 0
      let text = ''
      const answer = await think(site.node, request, {
        session: await openSession(site.node, ''),
        actor: 'test',
        deadline: site.node.now() + 60_000,
        signal: new AbortController().signal,
        trace: '',
        again: () => false,
        onEvent: (event) => {
          if (event.type !== 'token') return
          text += event.text
          pieces += 1
          const serving = ['one', 'two'].find((name) => sentBy(site.node).count(name, 'made for a test') > 0)
          if (serving !== undefined && served.at(-1) !== serving) served.push(serving)
          if (pieces !== 20) return
          const { pid } = site.kept.find(({ name }) => name === serving) ?? {}
          for (const each of doomed(pid ?? assert.fail('nobody serves it'))) process.kill(each, 'SIGKILL')
        },
      })
      assert.equal(text, expected)
      assert.equal(answer.text, expected)
      assert.equal(answer.usage?.outputTokens, 300)
      assert.equal(served.length, 2, `${served}`)
    })
})

describe('a question whose model server is gone', () => {
  let asked = 0
  const gone = new RuleBackend(() => {
    asked += 1
    throw new ClawmeshError('MODEL_FAILED', 'connect ECONNREFUSED', { data: { away: true } })
  })
  const ask = async (node: MeshNode) =>
    think(
      node,
      { messages: [{ role: 'user', content: 'Who is there?' }], maxTokens: 8, temperature: 0 },
      {
        session: await openSession(node, ''),
        actor: 'test',
        deadline: node.now() + 60_000,
        signal: new AbortController().signal,
        trace: '',
      },
    )

  it('is asked of another machine, and where there is none it fails at once', async () => {
    const mesh = await memoryMesh()
    try {
      const front = await mesh.join('front', { roles: ['supervisor', 'worker'] })
      await serveModel(await mesh.join('dead', { roles: ['inference'] }), gone)
      await eventually(() => assert.equal(front.nodes().filter(({ advert }) => advert['model']).length, 1))
      await assert.rejects(ask(front), { code: 'MODEL_FAILED', message: 'connect ECONNREFUSED' })
      assert.equal(asked, 1)
      await serveModel(await mesh.join('alive', { roles: ['inference'] }), new RuleBackend(() => 'I am.'))
      await eventually(() => assert.equal(front.nodes().filter(({ advert }) => advert['model']).length, 2))
      // Who is asked first is drawn, or goes by what was measured.
      for (let turn = 0; turn < 8; turn += 1) assert.equal((await ask(front)).text, 'I am.')
    } finally {
      await mesh.close()
    }
  })
})
