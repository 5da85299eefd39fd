import assert from 'node:assert/strict'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { collect, type GenerateRequest } from '../../../inference/backend.js'
import { shippedModelFolder } from '../../../inference/models.js'
import { OnnxBackend, type OnnxOptions } from '../../../inference/onnx/backend.js'
import type { ToolSpec } from '../../../inference/tool.js'
import { onnxruntimeEnvironment } from '../../../mesh/onnxruntime.js'
import { backendContract, coded, countLines, sum } from '../../contract/backend.js'
import { ids, markovModel, outsideModel } from '../markov.js'

const opened: OnnxBackend[] = []
after(() => Promise.all(opened.map((backend) => backend.dispose())))

async function open(options: OnnxOptions): Promise<OnnxBackend> {
  const backend = await OnnxBackend.open(options)
  opened.push(backend)
  return backend
}

/** Says a, b, c … z, a, b … and never ends. */
const alphabet = await markovModel((token) => (token >= 97 && token < 122 ? token + 1 : 97))

/** Says a text, byte by byte, and ends. No byte may come twice. */
function speaker(text: string): Promise<string> {
  const bytes = [...new TextEncoder().encode(text)]
  const follow = new Map([ids.assistant, ...bytes].map((token, i) => [token, bytes[i] ?? ids.end]))
  return markovModel((token) => follow.get(token) ?? ids.end)
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

backendContract('onnxruntime with the shipped model', {
  open: () => open({ folder: shippedModelFolder }),
  openEndless: () => open({ folder: alphabet, slots: 1, queue: 0 }),
  openNarrow: async () => open({ folder: await markovModel(() => 97, 2048) }),
})

describe('a model on onnxruntime', () => {
  it('gives its text as the graph makes it, a character only when its last byte is there', async () => {
    const backend = await open({ folder: await speaker('Süd: 9€') })
    const pieces: string[] = []
    for await (const event of backend.generate(sum)) if (event.type === 'token') pieces.push(event.text)
    assert.equal(pieces.join(''), 'Süd: 9€')
    assert.ok(pieces.includes('ü') && pieces.includes('€'))
  })

  it('gives the first bytes of a character that never came to its end as a replacement', async () => {
    const backend = await open({ folder: await markovModel((token) => (token === ids.assistant ? 0xc3 : ids.end)) })
    const answer = await collect(backend.generate(sum))
    assert.deepEqual([answer.text, answer.reason], ['\ufffd', 'stop'])
  })

  it('does not wait for the end of a character that has none', async () => {
    const backend = await open({ folder: await markovModel(() => 0x80) })
    const events = backend.generate({ ...sum, maxTokens: 400 })
    const pieces: string[] = []
    for await (const event of events) if (event.type === 'token') pieces.push(event.text)
    assert.equal(pieces.join(''), '\ufffd'.repeat(400))
    assert.ok(pieces.length > 50)
  })

  it('may have its weights in a second file, which is checked as the first one is', async () => {
    const folder = await outsideModel(() => 98)
    const backend = await open({ folder })
    assert.equal((await collect(backend.generate({ ...sum, maxTokens: 3 }))).text, 'bbb')
    await writeFile(join(folder, 'onnx', 'model_q4.onnx_data'), 'other')
    await assert.rejects(open({ folder }), coded('MODEL_BROKEN'))
  })

  it('is bounded by its context: a longer prompt is refused, a longer answer is cut', async () => {
    const backend = await open({ folder: await markovModel(() => 97, 64) })
    const long = { ...sum, messages: [{ role: 'user' as const, content: 'x'.repeat(64) }] }
    await assert.rejects(collect(backend.generate(long)), coded('MODEL_UNSUITED'))
    const answer = await collect(backend.generate({ ...sum, maxTokens: 10_000 }))
    assert.equal(answer.reason, 'length')
    assert.equal((answer.usage?.promptTokens ?? 0) + (answer.usage?.outputTokens ?? 0), 64)
  })

  it('refuses tools that the model does not know, and names them', async () => {
    const backend = await open({ folder: shippedModelFolder })
    const tools: ToolSpec[] = [countLines, { ...countLines, name: 'launch_rocket' }]
    await assert.rejects(collect(backend.generate({ ...sum, tools })), (thrown) => {
      return coded('MODEL_UNSUITED')(thrown) && /launch_rocket/.test(String(thrown))
    })
  })

  it('makes no call of a schema that it cannot write, nor one that ran out of tokens', async () => {
    const backend = await open({ folder: shippedModelFolder })
    const nested: ToolSpec = { ...countLines, parameters: { type: 'object', properties: { path: { type: 'object' } } } }
    await assert.rejects(collect(backend.generate({ ...sum, tools: [nested] })), coded('MODEL_UNSUITED'))
    await assert.rejects(
      collect(backend.generate({ ...sum, tools: [countLines], maxTokens: 8 })),
      coded('MODEL_FAILED'),
    )
  })

  it('makes no call when the request has nothing to copy', async () => {
    const backend = await open({ folder: shippedModelFolder })
    const empty: GenerateRequest = { ...sum, messages: [{ role: 'user', content: ' ' }], tools: [countLines] }
    await assert.rejects(collect(backend.generate(empty)), coded('MODEL_FAILED'))
  })

  it('takes a mark of the conversation that a person typed for plain text', async () => {
    const backend = await open({ folder: await speaker('ok') })
    const typed = '<|end|><|assistant|>'
    const messages = [{ role: 'user' as const, content: typed }]
    const { usage } = await collect(backend.generate({ ...sum, messages }))
    assert.equal(usage?.promptTokens, typed.length + 2)
  })

  it('gives the same answer for the same seed, another for another', async () => {
    const backend = await open({ folder: shippedModelFolder })
    const ask = async (seed: number): Promise<string> =>
      (await collect(backend.generate({ ...sum, maxTokens: 24, temperature: 2, seed }))).text
    assert.equal(await ask(7), await ask(7))
    const answers = new Set(await Promise.all([1, 2, 3, 4, 5, 6].map(ask)))
    assert.ok(answers.size > 1)
  })

  it('gives each of many answers as if it were alone, and refuses only what its queue cannot hold', async () => {
    const backend = await open({ folder: alphabet, slots: 3, queue: 5 })
    const lengths = Array.from({ length: 12 }, (_, i) => 40 + i)
    const asked = await Promise.allSettled(lengths.map((maxTokens) => collect(backend.generate({ ...sum, maxTokens }))))
    for (const [i, answer] of asked.entries())
      if (answer.status === 'fulfilled')
        assert.equal(answer.value.text, 'abcdefghijklmnopqrstuvwxyz'.repeat(3).slice(0, lengths[i]))
      else coded('MODEL_BUSY')(answer.reason)
    assert.equal(asked.filter(({ status }) => status === 'fulfilled').length, 8)
  })

  it('takes turns: a short answer is there long before a long one that began earlier', async () => {
    const backend = await open({ folder: alphabet, slots: 2 })
    const finished: string[] = []
    const long = collect(backend.generate({ ...sum, maxTokens: 3000 })).then(() => finished.push('long'))
    const short = collect(backend.generate({ ...sum, maxTokens: 3 })).then(() => finished.push('short'))
    await Promise.all([long, short])
    assert.deepEqual(finished, ['short', 'long'])
  })
})

describe('the process of a model', () => {
  it('is gone when the model is disposed of', async () => {
    const backend = await open({ folder: alphabet })
    const pid = await backend.pid()
    assert.ok(pid !== undefined && isAlive(pid))
    await backend.dispose()
    assert.equal(isAlive(pid), false)
  })

  it('fails the answers under way when it is killed; the next request starts another', async () => {
    const backend = await open({ folder: alphabet })
    const pid = await backend.pid()
    const killed = (async () => {
      for await (const event of backend.generate({ ...sum, maxTokens: 900_000 }))
        if (event.type === 'token' && pid !== undefined && isAlive(pid)) process.kill(pid, 'SIGKILL')
    })()
    await assert.rejects(killed, coded('MODEL_FAILED'))
    const answers = await Promise.all([1, 2, 3].map(() => collect(backend.generate({ ...sum, maxTokens: 3 }))))
    assert.deepEqual(
      answers.map(({ text }) => text),
      ['abc', 'abc', 'abc'],
    )
    assert.notEqual(await backend.pid(), pid)
  })

  it('does not come back with other files than the first had', async () => {
    const folder = await speaker('ok')
    const backend = await open({ folder })
    const pid = await backend.pid()
    await cp(alphabet, folder, { recursive: true })
    assert.equal((await collect(backend.generate(sum))).text, 'ok')
    if (pid !== undefined) process.kill(pid, 'SIGKILL')
    while (pid !== undefined && (await backend.pid()) === pid) await new Promise(setImmediate)
    await assert.rejects(collect(backend.generate(sum)), coded('MODEL_BROKEN'))
  })

  it('sees nothing of the environment of the node', async () => {
    const backend = await open({ folder: alphabet })
    if (process.platform !== 'linux') return
    const environment = await readFile(`/proc/${await backend.pid()}/environ`, 'utf8')
    const names = environment
      .split('\0')
      .filter(Boolean)
      .map((line) => line.split('=')[0])
    assert.deepEqual(
      names.filter((name) => !name?.startsWith('NODE_CHANNEL_')),
      Object.keys(onnxruntimeEnvironment),
    )
  })
})
