import assert from 'node:assert/strict'
import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { collect } from '../../../inference/backend.js'
import { openModel, shippedModelFolder } from '../../../inference/models.js'
import { OnnxBackend } from '../../../inference/onnx/backend.js'
import { Hub } from '../../../inference/store/hub.js'
import { ModelStore, type PullOptions, type StoredModel } from '../../../inference/store/store.js'
import { readStoredModels } from '../../../nodes/process/models.js'
import { coded, sum } from '../../contract/backend.js'
import { eventually } from '../../kit/eventually.js'
import { commit, give, type HubRepository, type Misbehaviour, serveHub, type TestHub } from '../../kit/hub.js'
import { temporaryFolder } from '../folder.js'

const name = 'makers/tiny'
const weights = Buffer.alloc(300_000, 'weights of a model, ')
const files = {
  'config.json': Buffer.from('{"a":1}'),
  'onnx/model_q4.onnx': weights,
  'tokenizer.json': Buffer.from('{}'),
}
const small = ['config.json']

const hubs: TestHub[] = []
after(() => Promise.all(hubs.map((hub) => hub.close())))

async function hubOf(repository: Partial<HubRepository> = {}): Promise<TestHub> {
  const hub = await serveHub(name, { files, small, ...repository })
  hubs.push(hub)
  return hub
}

/** Bytes that the store has taken from the wire. */
let arrived = 0

const quick: PullOptions = {
  accepts: async () => false,
  pausesMs: [1, 1, 1],
  onProgress: ({ done }) => {
    arrived = done
  },
}

async function pull(
  hub: TestHub,
  options: Partial<PullOptions> = {},
  store?: ModelStore,
): Promise<{ store: ModelStore; model: StoredModel }> {
  const into = store ?? new ModelStore(await temporaryFolder())
  return { store: into, model: await into.pull(new Hub(hub.url), name, { ...quick, ...options }) }
}

/** Misbehaves for the weights, `times` times. */
function atWeights(times: number, how: Misbehaviour): Misbehaviour {
  let left = times
  return (request, response, content) => (content === weights && left-- > 0 ? how(request, response, content) : false)
}

const does =
  (act: (response: Parameters<Misbehaviour>[1]) => unknown): Misbehaviour =>
  (_, response) => {
    act(response)
    return true
  }

/** Sends the beginning of what was asked for and hangs up when that has arrived. */
const cutAfter =
  (bytes: number): Misbehaviour =>
  (request, response, content) => {
    const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const whole = content ?? Buffer.alloc(0)
    const headers = {
      'content-length': whole.length - from,
      ...(from > 0 ? { 'content-range': `bytes ${from}-${whole.length - 1}/${whole.length}` } : {}),
    }
    const until = arrived + bytes
    response.writeHead(from > 0 ? 206 : 200, headers).write(whole.subarray(from, from + bytes))
    void eventually(() => assert.ok(arrived >= until)).then(() => response.destroy())
    return true
  }

async function isWhole({ store, model }: { store: ModelStore; model: StoredModel }): Promise<void> {
  assert.deepEqual(await store.verify(model), [])
  const opened = await openModel(model.folder)
  assert.deepEqual(Buffer.from(opened.bytes('onnx/model_q4.onnx')), weights)
}

/** Nothing of what came counts as a model or as a blob. */
async function holdsNothing(store: ModelStore): Promise<void> {
  assert.deepEqual(await store.list(), [])
  const blobs = await readdir(join(store.folder, 'blobs')).catch(() => [])
  for (const blob of blobs.filter((file) => !file.endsWith('.part')))
    assert.ok((await stat(join(store.folder, 'blobs', blob))).size < 100, blob)
}

describe('the model store', () => {
  it('fetches a model whole, pins its commit, and asks for nothing twice', async () => {
    const hub = await hubOf()
    const first = await pull(hub)
    assert.deepEqual([first.model.commit, first.model.files], [commit, 3])
    await isWhole(first)
    assert.deepEqual(
      (await first.store.list()).map(({ repository }) => repository),
      [name],
    )
    const before = hub.asked.filter((path) => path.includes('onnx')).length
    await pull(hub, { revision: commit }, first.store)
    assert.equal(hub.asked.filter((path) => path.includes('onnx')).length, before)
  })

  it('says how far it is, up to the whole', async () => {
    const seen: number[] = []
    await pull(await hubOf(), { onProgress: ({ done, total }) => seen.push(done / total) })
    assert.ok(seen.length > 4 && seen.every((share, i) => share >= (seen[i - 1] ?? 0)) && seen.at(-1) === 1)
  })

  it('fetches a model that can then be served, its one graph under the name that the backend looks for', async () => {
    const shipped = ['config.json', 'tokenizer.json', 'tokenizer_config.json']
    const content = await Promise.all(
      shipped.map(async (file) => [file, await readFile(join(shippedModelFolder, file))] as const),
    )
    const graph = await readFile(join(shippedModelFolder, 'model.onnx'))
    const { model } = await pull(await hubOf({ files: { ...Object.fromEntries(content), 'onnx/model.onnx': graph } }))
    const backend = await OnnxBackend.open({ folder: model.folder })
    try {
      assert.match((await collect(backend.generate(sum))).text, /\d/)
    } finally {
      await backend.dispose()
    }
  })

  it('goes on where a connection broke, as often as that brings something', async () => {
    const hub = await hubOf()
    hub.misbehave(atWeights(6, cutAfter(40_000)))
    await isWhole(await pull(hub))
    assert.ok(hub.asked.some((path) => /onnx bytes=\d{5,}-$/.test(path)))
  })

  it('goes on in a later run', async () => {
    const hub = await hubOf()
    const store = new ModelStore(await temporaryFolder())
    let sent = 0
    const all: Misbehaviour = (request, response, content) => {
      if (content !== weights) return false
      if (sent++ === 0) return cutAfter(100_000)(request, response, content)
      response.writeHead(503).end()
      return true
    }
    hub.misbehave(all)
    await assert.rejects(pull(hub, {}, store), coded('MODEL_FAILED'))
    await holdsNothing(store)
    hub.misbehave(undefined)
    hub.asked.length = 0
    await isWhole(await pull(hub, {}, store))
    assert.ok(hub.asked.some((path) => path.includes('onnx bytes=100000-')))
  })

  it('begins anew where a server does not know ranges', async () => {
    const hub = await hubOf()
    let times = 0
    hub.misbehave((request, response, content) => {
      if (content !== weights) return false
      if (times++ === 0) return cutAfter(50_000)(request, response, content)
      response.writeHead(200).end(content)
      return true
    })
    await isWhole(await pull(hub))
  })

  it('follows a redirect to where the files are', async () => {
    const elsewhere = await hubOf()
    const hub = await hubOf()
    hub.misbehave(
      atWeights(99, (request, response) => {
        response.writeHead(302, { location: `${elsewhere.url}${request.url}` }).end()
        return true
      }),
    )
    await isWhole(await pull(hub))
  })

  it('throws away what came wrong once, and fetches it again', async () => {
    const hub = await hubOf()
    hub.misbehave(
      atWeights(1, (_, response) => {
        response.end(Buffer.alloc(weights.length, 'x'))
        return true
      }),
    )
    await isWhole(await pull(hub))
  })

  const lies: [string, Misbehaviour, Parameters<typeof coded>[0]][] = [
    [
      'sends other bytes each time',
      atWeights(99, (_, response) => {
        response.end(Buffer.alloc(weights.length, 'x'))
        return true
      }),
      'MODEL_BROKEN',
    ],
    [
      'sends one flipped bit each time',
      atWeights(99, (request, response) => {
        const altered = Buffer.from(weights)
        altered.writeUInt8(altered.readUInt8(150_000) ^ 1, 150_000)
        give(request, response, altered)
        return true
      }),
      'MODEL_BROKEN',
    ],
    [
      'sends too little and says that it is all',
      atWeights(99, (_, response) => {
        response.end(weights.subarray(0, 1000))
        return true
      }),
      'MODEL_BROKEN',
    ],
    [
      'sends without end',
      atWeights(99, (_, response) => {
        const more = (): void => {
          while (!response.destroyed && response.write(weights));
        }
        response.on('drain', more)
        more()
        return true
      }),
      'MODEL_BROKEN',
    ],
    [
      'stalls in the middle',
      atWeights(
        99,
        does((response) => response.write(weights.subarray(0, 10))),
      ),
      'MODEL_FAILED',
    ],
    [
      'redirects in circles',
      atWeights(99, (request, response) => {
        response.writeHead(302, { location: request.url }).end()
        return true
      }),
      'MODEL_FAILED',
    ],
    [
      'hangs up at once',
      atWeights(
        99,
        does((response) => response.destroy()),
      ),
      'MODEL_FAILED',
    ],
    [
      'wants a key',
      atWeights(
        99,
        does((response) => response.writeHead(401).end()),
      ),
      'DENIED',
    ],
    [
      'lists what is no list',
      (request, response) => request.url?.startsWith('/api') === true && void response.end('<html>') === undefined,
      'MODEL_BROKEN',
    ],
    [
      'lists files outside the folder',
      (request, response) => {
        const siblings = [{ rfilename: '../../.bashrc', size: 1, blobId: commit }]
        return (
          request.url?.startsWith('/api') === true &&
          void response.end(JSON.stringify({ sha: commit, siblings })) === undefined
        )
      },
      'MODEL_BROKEN',
    ],
  ]
  for (const [what, how, code] of lies)
    it(`keeps nothing of a hub that ${what}`, async () => {
      const hub = await hubOf()
      hub.misbehave(how)
      const store = new ModelStore(await temporaryFolder())
      const patience = what === 'stalls in the middle' ? { stallMs: 300 } : {}
      await assert.rejects(pull(hub, patience, store), coded(code))
      await holdsNothing(store)
    })

  it('refuses another commit than the pinned one', async () => {
    await assert.rejects(pull(await hubOf(), { revision: 'f'.repeat(40) }), coded('MODEL_UNSUITED'))
    const hub = await hubOf()
    hub.misbehave(
      (request, response) =>
        request.url?.startsWith('/api') === true &&
        void response.end(JSON.stringify({ sha: commit, siblings: [] })) === undefined,
    )
    await assert.rejects(pull(hub, { revision: 'f'.repeat(40) }), coded('MODEL_BROKEN'))
  })

  it('finds what was altered, truncated or lost on the disk, loads none of it, and mends it', async () => {
    const hub = await hubOf()
    const { store, model } = await pull(hub)
    const path = join(model.folder, 'onnx', 'model_q4.onnx')
    const altered = Buffer.from(weights)
    altered.writeUInt8(altered.readUInt8(7) ^ 1, 7)
    for (const spoil of [() => writeFile(path, altered), () => truncate(path, 100)]) {
      await spoil()
      assert.deepEqual(
        (await store.verify(model)).map(({ path: file }) => file),
        ['onnx/model_q4.onnx', 'model.onnx'],
      )
      await assert.rejects(openModel(model.folder), coded('MODEL_BROKEN'))
      await isWhole(await pull(hub, {}, store))
    }
  })

  it('asks for the licence once, and records who accepted it', async () => {
    const hub = await hubOf({
      licence: {
        license: 'other',
        license_name: 'nvidia-open-model-license',
        license_link: 'https://example.com/licence',
      },
    })
    const store = new ModelStore(await temporaryFolder())
    await assert.rejects(pull(hub, {}, store), coded('DENIED'))
    assert.ok(!hub.asked.some((path) => path.includes('resolve')))
    await pull(hub, { accepts: async () => true }, store)
    const record = JSON.parse(await readFile(join(store.folder, 'licences.jsonl'), 'utf8'))
    assert.deepEqual(
      [record.repository, record.commit, record.licence.name],
      [name, commit, 'nvidia-open-model-license'],
    )
    assert.match(record.by + record.at, /.\d{4}-\d\d-\d\dT/)
    await pull(hub, {}, store)
    const about = async () => (await readStoredModels({ store: store.folder })).notes.join()
    assert.doesNotMatch(await about(), /licence/)
    // The files alone, as from another machine: nobody here has said yes to anything.
    await rm(join(store.folder, 'licences.jsonl'))
    assert.match(await about(), /nobody has accepted its licence "nvidia-open-model-license" here/)
    await assert.rejects(pull(hub, {}, store), coded('DENIED'))
  })

  it('fetches only what was asked for', async () => {
    const { model } = await pull(await hubOf(), { include: ['*.json'] })
    assert.equal(model.files, 2)
    await assert.rejects(pull(await hubOf(), { include: ['*.gguf'] }), coded('MODEL_UNSUITED'))
  })

  it('removes a model with the files that no other shares', async () => {
    const store = new ModelStore(await temporaryFolder())
    const { model } = await pull(await hubOf(), {}, store)
    const other = await serveHub('makers/other', {
      files: { 'tokenizer.json': files['tokenizer.json'], 'b.json': Buffer.from('[2]') },
    })
    hubs.push(other)
    const second = await store.pull(new Hub(other.url), 'makers/other', quick)
    assert.ok((await store.remove(model)) >= weights.length)
    assert.deepEqual(
      (await store.list()).map(({ repository }) => repository),
      ['makers/other'],
    )
    assert.deepEqual(await store.verify(second), [])
    await assert.rejects(store.find(name), coded('MODEL_UNSUITED'))
  })

  it('takes no name that is none', async () => {
    for (const wrong of ['tiny', '../etc/passwd', 'a/b/c', 'a/..', ''])
      await assert.rejects(
        new ModelStore(await temporaryFolder()).pull(new Hub('http://127.0.0.1:9'), wrong, quick),
        coded('USAGE'),
      )
    assert.throws(() => new Hub('ftp://hub'), coded('USAGE'))
  })

  it('stops when it is told to, and keeps what has arrived', async () => {
    const hub = await hubOf()
    const store = new ModelStore(await temporaryFolder())
    const stop = new AbortController()
    hub.misbehave(
      atWeights(1, (_, response) => {
        response.writeHead(200, { 'content-length': weights.length }).write(weights.subarray(0, 60_000))
        return true
      }),
    )
    const pulling = pull(
      hub,
      {
        signal: stop.signal,
        stallMs: 20_000,
        onProgress: ({ done }) => done > 60_000 && stop.abort(new Error('enough')),
      },
      store,
    )
    await assert.rejects(pulling, /enough/)
    hub.asked.length = 0
    await isWhole(await pull(hub, {}, store))
    assert.ok(hub.asked.some((path) => path.includes('onnx bytes=60000-')))
  })
})
