import { createHash } from 'node:crypto'
import type { Numbers } from './numbers.js'

export const blockTokens = 16

interface Block {
  content: Numbers
  /** Keys from the first block of the conversation to this one. */
  key: string
}

/**
 * Keys and values of conversations that were computed before, in blocks of tokens, so that a prompt that begins like one of them is not computed again.
 *
 * 1. A block's key is a digest of its tokens and of all tokens before it: what is found was computed for the very same beginning.
 * 2. At most `bytes` are held; what was longest of no use goes first.
 */
export class PrefixStore {
  private readonly most: number
  // A map remembers the order in which entries came: the one of least use stands first.
  private readonly blocks = new Map<string, Numbers>()
  private held = 0

  constructor(bytes: number) {
    this.most = bytes
  }

  get bytes(): number {
    return this.held
  }

  /** The blocks that the tokens begin with, from the first on without a gap; never all of the tokens, since the last one has to be computed. */
  find(tokens: readonly number[]): Numbers[] {
    const found: Block[] = []
    for (const key of keysOf(tokens.slice(0, -1))) {
      const content = this.blocks.get(key)
      if (!content) break
      found.push({ content, key })
    }
    // The first block is of use to the most: it is touched last.
    for (const { key, content } of found.toReversed()) this.touch(key, content)
    return found.map(({ content }) => content)
  }

  /** Keeps the full blocks of the tokens; `copy` gives the content of one from a place on. */
  keep(tokens: readonly number[], copy: (from: number) => Numbers): void {
    if (this.most === 0) return
    const entries = keysOf(tokens).map((key, i) => ({ key, content: this.blocks.get(key) ?? copy(i * blockTokens) }))
    for (const { key, content } of entries.toReversed()) this.touch(key, content)
    for (const [key, content] of this.blocks) {
      if (this.held <= this.most) break
      this.blocks.delete(key)
      this.held -= content.byteLength
    }
  }

  private touch(key: string, content: Numbers): void {
    if (!this.blocks.delete(key)) this.held += content.byteLength
    this.blocks.set(key, content)
  }
}

/** Keys of the full blocks (invariant 1). A digest, and not a shorter hash: somebody could look for two prompts with the same one. */
function keysOf(tokens: readonly number[]): string[] {
  const keys: string[] = []
  for (let end = blockTokens; end <= tokens.length; end += blockTokens) {
    const block = Int32Array.from(tokens.slice(end - blockTokens, end))
    keys.push(
      createHash('sha256')
        .update(keys.at(-1) ?? '')
        .update(block)
        .digest('base64'),
    )
  }
  return keys
}
