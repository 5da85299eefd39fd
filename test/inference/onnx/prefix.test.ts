import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { blockTokens, PrefixStore } from '../../../inference/onnx/prefix.js'

const block = (number: number): Float32Array => Float32Array.of(number, number)
const tokens = (blocks: number, first = 0): number[] =>
  Array.from({ length: blocks * blockTokens }, (_, i) => first + i)

/** A store with conversations whose blocks are numbered from `first` on. */
function keep(store: PrefixStore, conversation: number[], first: number): void {
  store.keep(conversation, (from) => block(first + from / blockTokens))
}

const found = (store: PrefixStore, prompt: number[]): number[] => store.find(prompt).map(([number = -1]) => number)

describe('keys and values of earlier conversations', () => {
  it('are found for a prompt that begins alike, up to where it differs', () => {
    const store = new PrefixStore(1000)
    keep(store, [...tokens(3), 7, 8], 10)
    assert.deepEqual(found(store, [...tokens(3), 1]), [10, 11, 12])
    assert.deepEqual(found(store, [...tokens(2), ...tokens(1, 900), ...tokens(1)]), [10, 11])
    assert.deepEqual(found(store, [5, ...tokens(3)]), [])
  })

  it('are never those of another beginning, though the block itself is the same', () => {
    const store = new PrefixStore(1000)
    keep(store, [...tokens(1), ...tokens(1, 500)], 10)
    keep(store, [...tokens(1, 300), ...tokens(1, 500)], 20)
    assert.deepEqual(found(store, [...tokens(1, 300), ...tokens(1, 500), 1]), [20, 21])
    assert.deepEqual(found(store, [...tokens(1, 500), 1]), [])
  })

  it('never cover the whole prompt: its last token has to be computed', () => {
    const store = new PrefixStore(1000)
    keep(store, tokens(2), 10)
    assert.deepEqual(found(store, tokens(2)), [10])
  })

  it('stay within their bytes: what was longest of no use goes first, the end of a conversation before its beginning', () => {
    const store = new PrefixStore(4 * block(0).byteLength)
    keep(store, tokens(2), 10)
    keep(store, tokens(2, 500), 20)
    found(store, [...tokens(2), 1])
    keep(store, tokens(1, 900), 30)
    assert.deepEqual(found(store, [...tokens(2), 1]), [10, 11])
    assert.deepEqual(found(store, [...tokens(2, 500), 1]), [20])
    assert.equal(store.bytes, 4 * block(0).byteLength)
  })
})
