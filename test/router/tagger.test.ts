import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'
import { shippedTagger, TaggerProcess } from '../../router/tagger/process.js'
import { Seen } from '../../router/tagger/seen.js'
import type { Tagger } from '../../router/tagger/tagger.js'
import { eventually } from '../kit/eventually.js'

const exported = join(installation, 'test', 'router', 'data', 'gliner')
const folder = mkdtempSync(join(tmpdir(), 'clawmesh-tagger-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function found(tagger: Tagger, text: string): Promise<string[]> {
  const [tags = []] = await tagger.tag([text])
  return tags.map(({ kind, start, end }) => `${kind} ${text.slice(start, end)}`)
}

/** A copy of a tagger with something changed in its config, and the digests right. */
function changed(from: string, name: string, change: (config: Record<string, unknown>) => void): string {
  const path = join(folder, name)
  cpSync(from, path, { recursive: true })
  const file = join(path, 'config.json')
  const config = JSON.parse(readFileSync(file, 'utf8'))
  change(config)
  writeFileSync(file, JSON.stringify(config))
  return path
}

describe('an export of GLiNER', () => {
  const tagger = new TaggerProcess({ folder: exported })
  after(() => tagger.close())

  it('is asked in its own form, and the surest of overlapping spans count', async () => {
    assert.deepEqual(await found(tagger, 'the letter of Ada Lovelace to Hopper, Elm Street.'), [
      'name Ada Lovelace',
      'name Hopper',
      'address Elm Street',
    ])
  })

  it('reads a text that is longer than it sees at once, whole', async () => {
    const text = `${'the letter of '.repeat(20)}Ada Lovelace ${'wrote to the '.repeat(20)}Hopper`
    assert.deepEqual(await found(tagger, text), ['name Ada Lovelace', 'name Hopper'])
  })
})

describe('what the network said of tokens', () => {
  const [sight, most] = [2, 40_000]
  /** Its two shares say all that it saw: the token and two neighbours to each side. */
  const sharesOf = (ids: Int32Array): Float32Array =>
    Float32Array.from({ length: 2 * ids.length }, (_, at) => {
      const index = at >> 1
      const window = [-2, -1, 0, 1, 2].map((step) => ids[index + step] ?? 0)
      return at % 2 === 0 ? window.reduce((sum, id) => sum * 4 + id, 0) : (ids[index] ?? 0)
    })

  it('is found again where all that it saw is the same, and nowhere else', () => {
    const seen = new Seen(sight, 2)
    let state = 7
    const random = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return (state >>> 8) % below
    }
    let [found, asked] = [0, 0]
    for (let text = 0; text < 400; text += 1) {
      const ids = Int32Array.from({ length: random(30) }, () => 1 + random(3))
      const shares = sharesOf(ids)
      for (const [index, place] of seen.find(ids).entries()) {
        asked += 1
        if (place < 0) continue
        found += 1
        assert.deepEqual([...seen.sharesAt(place)], [...shares.subarray(2 * index, 2 * index + 2)])
      }
      seen.add(ids, shares)
    }
    assert.ok(found > asked / 2, `${found} of ${asked}`)
    seen.forget()
    assert.deepEqual([...seen.find(Int32Array.of(1, 2, 3))], [-1, -1, -1])
  })

  it('is not taken for that of others whose hash is the same', () => {
    const seen = new Seen(0, 1)
    seen.add(Int32Array.of(5), Float32Array.of(1))
    assert.equal(seen.find(Int32Array.of(5))[0], 0)
    const wide = new Seen(1, 1)
    const factor = 0x01000193
    wide.add(Int32Array.of(5, 9, 9), Float32Array.of(1, 2, 3))
    assert.deepEqual([...wide.find(Int32Array.of(5, 9, 9))].map(Math.sign), [1, 1, 1])
    assert.deepEqual([...wide.find(Int32Array.of(6, 9 - factor, 9))].map(Math.sign), [-1, -1, -1])
  })

  it('is not kept of more than there is room for', () => {
    const seen = new Seen(sight, 2)
    const long = new Int32Array(most).fill(1)
    seen.add(long, sharesOf(long))
    assert.equal(seen.find(Int32Array.of(1, 1, 1, 1, 1))[2], -1)
  })
})

describe('a tagger that cannot be trusted says nothing:', () => {
  const broken: Record<string, () => string> = {
    'a file is not the one that was named': () => {
      const path = changed(exported, 'other-bytes', () => {})
      writeFileSync(join(path, 'tokenizer.json'), `${readFileSync(join(path, 'tokenizer.json'), 'utf8')} `)
      return path
    },
    'it fails its own test': () =>
      changed(exported, 'fails-test', (config) =>
        Object.assign(config, { labels: { person: 'address', place: 'name' } }),
      ),
    'it has no test': () => changed(exported, 'no-test', (config) => Object.assign(config, { selfTest: [] })),
    'its graph is another': () => {
      const shipped = join(shippedTagger, 'model.onnx')
      const sha256 = createHash('sha256').update(readFileSync(shipped)).digest('hex')
      const path = changed(exported, 'other-graph', ({ files }) =>
        Object.assign(files as object, { 'model.onnx': sha256 }),
      )
      cpSync(shipped, join(path, 'model.onnx'))
      return path
    },
    'there is none': () => join(folder, 'nowhere'),
  }
  for (const [what, path] of Object.entries(broken))
    it(what, async () => {
      const tagger = new TaggerProcess({ folder: path() })
      await assert.rejects(tagger.tag(['Ada Lovelace']), { code: 'TAGGER_UNAVAILABLE' })
      tagger.close()
    })
})

describe('the tagger that ships', () => {
  const tagger = new TaggerProcess()
  before(() => tagger.tag(['warm']))
  after(() => tagger.close())

  it('starts another process for the next question when its own was killed or stopped, and answers for neither', async () => {
    const first = tagger.pid ?? 0
    const asked = tagger.tag(['Anna Becker '.repeat(20_000)])
    process.kill(first, 'SIGKILL')
    await assert.rejects(asked, { code: 'TAGGER_UNAVAILABLE' })
    assert.equal((await found(tagger, 'Hallo Thorvald Quandahl')).length, 1)
    assert.notEqual(tagger.pid, first)
    const slow = new TaggerProcess({ answerMs: 1000 })
    await eventually(() => slow.tag(['warm']))
    process.kill(slow.pid ?? assert.fail('it does not run'), 'SIGSTOP')
    await assert.rejects(slow.tag(['Anna Becker']), /did not answer/)
    slow.close()
  })

  it('finds the same in a text wherever it is cut for the network', async () => {
    const sentence = 'Gestern hat Wiebke Brinkhoff aus der Mergenthalerstraße 12 angerufen. '
    const [alone = []] = await tagger.tag([sentence])
    const [many = []] = await tagger.tag([sentence.repeat(150)])
    assert.ok(alone.length > 0)
    // The first and the last have other neighbours.
    const inner = many.filter(({ start }) => start >= sentence.length && start < 149 * sentence.length)
    const places = (tags: typeof inner) =>
      new Set(tags.map(({ start, end }) => `${start % sentence.length} ${end - start}`))
    assert.equal(inner.length, 148 * places(inner).size)
  })

  it('leaves code, versions and plain words alone', async () => {
    for (const text of [
      'const total = items.length + 1; // see version 18.2.0',
      'How do I sort a list in Python?',
      'Wie funktioniert eine Klimaanlage?',
      'The meeting on Monday in Berlin is about the new server.',
    ])
      assert.deepEqual(await found(tagger, text), [], text)
  })
})
