import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { collect, type GenerateRequest } from '../../../inference/backend.js'
import { OpenAiBackend, type OpenAiOptions } from '../../../inference/openai/backend.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { backendContract, coded, sum } from '../../contract/backend.js'
import { learnByHeart, type RealServer, type Served, serversOf, startServer } from '../../kit/real-servers.js'

/** A Python environment with servers of models; `npm run soak -- servers` makes one. */
const environment = process.env['CLAWMESH_TEST_SERVERS'] ?? ''

describe('a real model server', {
  skip: environment ? false : 'CLAWMESH_TEST_SERVERS names no Python environment with model servers',
}, () => {
  let folder: string
  before(async () => {
    folder = await learnByHeart(environment)
  })

  for (const kind of serversOf(environment))
    describe(kind, () => {
      const started: RealServer[] = []
      const start = async (served: Served): Promise<RealServer> => {
        const server = await startServer(kind, environment, folder, served)
        started.push(server)
        return server
      }
      let [answers, endless]: RealServer[] = []
      const open = (server?: RealServer, more: Partial<OpenAiOptions> = {}) =>
        OpenAiBackend.open({ url: server?.url ?? '', ...more })
      before(async () => {
        answers = await start({ model: 'answers', context: 2048, slots: 4 })
        endless = await start({ model: 'endless', context: 131_072, slots: 1 })
      })
      after(() => Promise.all(started.map((server) => server.kill())))

      backendContract(`a model of ${kind}`, {
        open: () => open(answers),
        openNarrow: () => open(answers),
        openEndless: () => open(endless, { slots: 1, queue: 0 }),
      })

      it('is known, with its context and how many answers go side by side', async () => {
        const { model, slots } = await open(answers)
        assert.deepEqual([model.name, model.backend, model.context], ['answers', `openai:${kind}`, 2048])
        // vLLM does not say for how many it was started.
        assert.equal(slots, kind === 'vllm' ? 64 : 4)
      })

      it('answers fifty at once, each with what the model knows by heart', async () => {
        const backend = await open(answers)
        const all = await Promise.all(Array.from({ length: 50 }, () => collect(backend.generate(sum))))
        assert.deepEqual([...new Set(all.map(({ text }) => text))], ['12 + 7 is 19. 🦞'])
      })

      it('has what its model thinks told apart from what it says', async () => {
        const backend = await open(answers)
        const { thought, text } = await collect(backend.generate(asked('one and one?')))
        assert.deepEqual([thought, text], ['One and one.', 'Two.'])
      })

      it('writes nothing but what a schema lets it', async () => {
        const backend = await open(answers)
        const schema = {
          type: 'object',
          properties: { sum: { const: 19 } },
          required: ['sum'],
          additionalProperties: false,
        }
        const json = { name: 'sum', schema }
        const { text } = await collect(backend.generate({ ...asked('12 + 7 as JSON'), json }))
        assert.deepEqual(JSON.parse(text), { sum: 19 })
        const bent = await collect(backend.generate({ ...sum, json }))
        assert.match(bent.text, /^\s*\{/, 'what it knows by heart begins with 12')
      })

      it('refuses a bound on thoughts that it was not started for', async () => {
        const backend = await open(answers)
        const bounded = { ...asked('one and one?'), thinking: true, thoughtTokens: 5 }
        await assert.rejects(collect(backend.generate(bounded)), coded('MODEL_UNSUITED'))
      })

      it('makes no vectors of a model that writes', async () => {
        const backend = await open(answers)
        await assert.rejects(collectVectors(backend), coded('NOT_FOUND'))
      })

      if (kind === 'llama.cpp')
        it('whose answers share one context and fill it says how to mend that', async () => {
          const backend = await open(await start({ model: 'endless', context: 1024, slots: undefined }))
          const asked = { ...sum, maxTokens: 900 }
          assert.deepEqual([backend.slots, (await collect(backend.generate(asked))).reason], [4, 'length'])
          const all = [0, 1, 2, 3].map(() => collect(backend.generate(asked)))
          await assert.rejects(Promise.all(all), (thrown) => {
            return coded('MODEL_FAILED')(thrown) && thrown instanceof ClawmeshError && /--parallel N/.test(thrown.hint)
          })
          await Promise.allSettled(all)
        })

      it('that is killed in mid-answer ends it, and is said to be gone', async () => {
        const server = await start({ model: 'endless', context: 131_072, slots: 1 })
        const backend = await open(server)
        assert.equal(await backend.away(), undefined)
        const events = backend.generate({ ...sum, maxTokens: 100_000 })[Symbol.asyncIterator]()
        assert.equal((await events.next()).value?.type, 'token')
        await server.kill()
        await assert.rejects(async () => {
          while (!(await events.next()).done);
        }, coded('MODEL_FAILED'))
        assert.equal(await backend.away(), 'its server does not answer')
      })
    })
})

const asked = (content: string): GenerateRequest => ({ ...sum, messages: [{ role: 'user', content }] })

async function collectVectors(backend: OpenAiBackend): Promise<void> {
  for await (const _ of backend.embed(['a text'])) assert.fail('a vector came')
}
