import assert from 'node:assert/strict'
import { cp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openModel, shippedModelFolder } from '../../inference/models.js'
import { OnnxBackend } from '../../inference/onnx/backend.js'
import { coded } from '../contract/backend.js'
import { temporaryFolder } from './folder.js'
import { markovModel, sealModel } from './markov.js'

const files = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.onnx']

async function copied(): Promise<string> {
  const folder = await temporaryFolder()
  await cp(shippedModelFolder, folder, { recursive: true })
  return folder
}

/** MODEL_BROKEN, naming the file. */
async function isBroken(folder: string, file: string): Promise<void> {
  await assert.rejects(
    OnnxBackend.open({ folder }),
    (thrown) => coded('MODEL_BROKEN')(thrown) && String(thrown).includes(file),
  )
}

describe('a model folder', () => {
  it('opens when every file is what the manifest says, and its digest does not change', async () => {
    const [model, again] = await Promise.all([openModel(shippedModelFolder), openModel(await copied())])
    assert.match(model.digest, /^sha256:[0-9a-f]{64}$/)
    assert.equal(model.digest, again.digest)
  })

  for (const file of files) {
    it(`is broken when a bit of ${file} is flipped`, async () => {
      const folder = await copied()
      const content = await readFile(join(folder, file))
      content[content.length >> 1] = (content[content.length >> 1] ?? 0) ^ 1
      await writeFile(join(folder, file), content)
      await isBroken(folder, file)
    })
    it(`is broken when ${file} is truncated or missing`, async () => {
      const folder = await copied()
      await truncate(join(folder, file), 100)
      await isBroken(folder, file)
      await rm(join(folder, file))
      await isBroken(folder, file)
    })
  }

  it('is broken without a manifest, and with one that lists too little or points outside', async () => {
    const folder = await copied()
    await sealModel(folder, files.slice(0, 3))
    await isBroken(folder, 'model.onnx')
    const entry = { path: '../notes.txt', bytes: 1, sha256: '0'.repeat(64) }
    for (const manifest of ['', '[]', '{"files":[]}', '{"files":[1]}', JSON.stringify({ files: [entry] })]) {
      await writeFile(join(folder, 'manifest.json'), manifest)
      await isBroken(folder, 'manifest.json')
    }
    await rm(join(folder, 'manifest.json'))
    await isBroken(folder, 'manifest.json')
    await isBroken(join(folder, 'nowhere'), 'manifest.json')
  })

  it('is broken when the graph, the tokenizer or the configuration makes no sense, though its digest is right', async () => {
    for (const [file, content] of [
      ['model.onnx', 'not a graph'],
      ['tokenizer.json', '{}'],
      ['tokenizer_config.json', '{"chat_template":"{% if %}"}'],
      ['config.json', '{"num_hidden_layers":"six"}'],
    ] as const) {
      const folder = await markovModel(() => 97)
      await writeFile(join(folder, file), content)
      await sealModel(folder, files)
      await isBroken(folder, file.startsWith('tokenizer') ? 'tokenizer' : file)
    }
  })

  it('is broken when a link leads nowhere', async () => {
    const folder = await copied()
    await rm(join(folder, 'model.onnx'))
    await symlink('/nowhere/model.onnx', join(folder, 'model.onnx'))
    await isBroken(folder, 'model.onnx')
  })
})
