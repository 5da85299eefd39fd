import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bitsOf, findKnown, type Quantisation, readCatalogue, weightBytes } from '../../inference/catalogue.js'
import { formatOf } from '../../inference/chat/format.js'

describe('the catalogue', () => {
  it('can be read, names each model once, and agrees with the formats that names give away', async () => {
    const catalogue = await readCatalogue()
    assert.equal(new Set(catalogue.map(({ name }) => name)).size, catalogue.length)
    for (const { name, repository, chat } of catalogue)
      for (const given of [name, repository ?? name]) assert.equal(formatOf(given), chat, given)
  })

  it('knows a model under the names that servers and hubs give it', async () => {
    const catalogue = await readCatalogue()
    const names = {
      'nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16': 'NVIDIA-Nemotron-3-Nano-30B-A3B',
      'nemotron-3-nano-30b-a3b': 'NVIDIA-Nemotron-3-Nano-30B-A3B',
      'nvidia/Llama-3_3-Nemotron-Super-49B-v1_5': 'Llama-3.3-Nemotron-Super-49B-v1.5',
      'nvidia/NVIDIA-Nemotron-Nano-9B-v2-NVFP4': 'NVIDIA-Nemotron-Nano-9B-v2',
      'Nemotron-Mini-4B-Instruct': 'Nemotron-Mini-4B-Instruct',
    }
    for (const [given, name] of Object.entries(names)) assert.equal(findKnown(catalogue, given)?.name, name, given)
    assert.equal(findKnown(catalogue, 'meta-llama/Llama-3.1-8B'), undefined)
  })

  it('sends no mixture of experts to onnxruntime on a CPU', async () => {
    for (const { name, active, cpu, backends, notes } of await readCatalogue()) {
      if (active === undefined) continue
      assert.deepEqual([cpu, backends.includes('onnx')], [false, false], name)
      assert.match(notes ?? '', /not for onnxruntime/)
    }
  })

  it('says how much memory the weights take: as published, else by the bits of a parameter', async () => {
    const known = async (name: string) => findKnown(await readCatalogue(), name) ?? assert.fail(name)
    assert.equal(weightBytes(await known('NVIDIA-Nemotron-3-Nano-4B'), 'q4'), 2.45e9)
    assert.equal(weightBytes(await known('Llama-3.1-Nemotron-Nano-8B-v1'), 'bf16'), 16.06e9)
    for (const model of await readCatalogue()) {
      const sizes = (['q4', 'q8', 'bf16'] satisfies Quantisation[]).map((quantisation) =>
        weightBytes(model, quantisation),
      )
      assert.deepEqual(
        sizes,
        sizes.toSorted((a, b) => a - b),
      )
    }
    assert.ok(Object.values(bitsOf).every((bits) => bits >= 4 && bits <= 16))
  })
})
