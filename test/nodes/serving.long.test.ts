/** `join --models`, `nodes`, `nodes drain`, `place --why`: the shipped commands, on a machine that has a model on its disk and serves it when somebody asks. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { cacheFolder } from '../../nodes/config.js'
import { lookAtMesh } from '../../nodes/member/onlooker.js'
import { markovModel, modelFiles } from '../inference/markov.js'
import { runCommand } from '../kit/command.js'
import { eventually } from '../kit/eventually.js'
import { serveHub } from '../kit/hub.js'
import { ask } from './gateway/stand.js'
import { Machine } from './machine.js'

describe('a machine with a model on its disk', () => {
  // The broker of the other tests, and a store of models of its own.
  const cache = mkdtempSync(join(tmpdir(), 'clawmesh-test-'))
  const home = new Machine()
  const guest = new Machine({ CLAWMESH_CACHE: cache })
  let url: string
  let key: string
  before(async () => {
    const known = cacheFolder(process.env)
    for (const name of readdirSync(known)) if (name !== 'models') symlinkSync(join(known, name), join(cache, name))
    const folder = await markovModel(() => 122, 2048)
    const files = Object.fromEntries(modelFiles.map((name) => [name, readFileSync(join(folder, name))]))
    const hub = await serveHub('makers/letters', { files, licence: { license: 'apache-2.0' } })
    try {
      const env = { CLAWMESH_CACHE: cache, CLAWMESH_MODEL_HUB: hub.url }
      const pulled = await runCommand(['models', 'pull', 'makers/letters'], { env })
      assert.equal(pulled.status, 0, pulled.stderr)
    } finally {
      await hub.close()
    }
    const running = await home.up('--name', 'home', '--gateway', '0')
    url = /The gateway listens at (http:\S+)\. /.exec(running.stderr())?.[1] ?? assert.fail(running.stderr())
    key = (await home.do('gateway', 'key', 'add', 'me', '--role', 'developer')).stdout.trim()
    await guest.join(
      await home.invite(),
      '--name',
      'guest',
      '--models',
      'makers/letters,makers/none',
      '--model-idle',
      '1s',
    )
  })
  after(async () => {
    for (const machine of [guest, home]) await machine.remove()
    rmSync(cache, { recursive: true, force: true })
  })

  const chat = async () => {
    const body = { model: 'makers/letters', messages: [{ role: 'user', content: 'go' }], max_tokens: 5, temperature: 0 }
    const { status, text } = await ask(url, '/v1/chat/completions', { method: 'POST', key, body })
    return status === 200 ? String(JSON.parse(text).choices[0].message.content) : status
  }
  const json = async (...args: string[]) => JSON.parse((await home.do(...args, '--json')).stdout)
  const lettersIn = (nodes: { name: string; models: { name: string; digest: string }[] }[]) =>
    nodes.find(({ name }) => name === 'guest')?.models.find(({ name }) => name === 'makers/letters')

  it('says when it joins what it has, and what it offers', () => {
    assert.match(guest.said(), /This machine: .*threads, \d+ GB/)
    assert.match(guest.said(), /Serves clawmesh-tiny \(onnx\)/)
    assert.match(guest.said(), /Offers makers\/letters: [\d.]+ kB, loaded when it is asked for/)
    assert.doesNotMatch(guest.said(), /The first token/)
  })

  it('has the model there for whoever asks, unloaded: nodes and place say so, and what a load would take', async () => {
    const { nodes: rows } = await json('nodes')
    const unmeasured = { prefill: null, decode: null, together: null, speedFrom: null }
    const able = { draining: null, away: null }
    const about = { backend: 'onnx', loaded: false, slots: 4, running: 0, queued: 0, ...unmeasured, ...able }
    const { digest, ...letters } = lettersIn(rows) ?? assert.fail()
    assert.deepEqual([letters, /^sha256:[0-9a-f]{64}$/.test(digest)], [{ name: 'makers/letters', ...about }, true])
    // Of the model that was loaded at the start the speeds are there, in the table too.
    await eventually(async () =>
      assert.match(
        (await home.do('nodes')).stdout,
        /guest .*clawmesh-tiny +0\/8 +reads [\d.]+, writes [\d.]+, 8 at once [\d.]+/,
      ),
    )
    const { chosen, nodes } = await json('place', '--why', 'how are you?', '--model', 'makers/letters')
    assert.deepEqual(chosen, { node: 'guest', model: 'makers/letters', short: false })
    const reason = nodes.find(({ model }: { model: string }) => model === 'makers/letters')
    assert.ok(reason.load >= 1000 && reason.ms >= reason.load && reason.network > 0)
    const dropped = nodes.find(({ node }: { node: string }) => node === 'home')
    assert.deepEqual([dropped.by, dropped.refused], ['model', 'it serves clawmesh-tiny'])
    const { stdout } = await home.do('place', '--why', 'how are you?')
    assert.match(stdout, /Rule {6}\S+ \(\w+\)/)
    assert.match(stdout, /guest +makers\/letters +\d+ ms +wait 0 \+ prompt \d+ \+ answer \d+ \+ load \d+ .*<- chosen/)
    assert.match(stdout, /home +clawmesh-tiny +- +dropped \(tools\): it knows a closed set of tools/)
  })

  it('loads it for the first question, says when the first token came, and lets it go again', async () => {
    assert.equal(await chat(), 'zzzzz')
    await eventually(() =>
      assert.match(guest.said(), /The first token, of makers\/letters, came [\d.]+ s after `join`/),
    )
    const isThere = (offer: unknown) => JSON.stringify(offer).includes('"unloaded"') === false
    await eventually(async () => {
      const guestNode = await lookAtMesh(home.data, ({ directory }) => directory.node('guest'))
      assert.deepEqual(Array.from(Object(guestNode?.advert['offers']), isThere), [true, false])
    })
  })

  it('takes no more questions while it drains, and says so everywhere', async () => {
    const gpu = await home.do('nodes', 'drain', 'guest', '--gpu', 'GPU-none')
    assert.deepEqual([gpu.status, /has no GPU GPU-none/.test(gpu.stderr)], [2, true])
    assert.equal((await home.do('nodes', 'drain', 'guest')).status, 0)
    const { nodes } = await json('place', '--why', 'hi', '--model', 'makers/letters')
    assert.equal(nodes.find(({ model }: { model: string }) => model === 'makers/letters').by, 'drain')
    assert.match((await home.do('nodes')).stdout, /^guest .*draining$/m)
    assert.equal(await chat(), 503)
    assert.equal((await home.do('nodes', 'undrain', 'guest')).status, 0)
    await eventually(async () => assert.equal(await chat(), 'zzzzz'))
  })
})
