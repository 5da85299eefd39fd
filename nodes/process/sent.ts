/**
 * What this node has sent where. Adverts are up to a second old, and no node says what it has read: whoever asks knows both of its own questions, and tells nobody.
 *
 * 1. A question counts from when it is sent until it has ended, so that those of one moment do not all go to the node that was idle a moment ago.
 * 2. The beginnings of prompts are kept as digests, the last `mostBlocks` of each model of a node.
 */
import { createHash } from 'node:crypto'
import type { GenerateRequest } from '../../inference/backend.js'
import type { MeshNode } from '../../mesh/index.js'

/** Characters of one block: 128 tokens, as tokens are guessed. */
const blockCharacters = 512
export const blockTokens = blockCharacters / 4
const mostBlocks = 512

/** Digests of a prompt's blocks from its beginning, each over all before it. */
export function blocksOf({ messages, tools }: Pick<GenerateRequest, 'messages' | 'tools'>): string[] {
  const text = JSON.stringify([
    tools ?? [],
    ...messages.map(({ role, content, images }) => [
      role,
      content,
      ...(images ?? []).map(({ data }) => digestOf(data)),
    ]),
  ])
  const blocks: string[] = []
  for (let end = blockCharacters; end <= text.length; end += blockCharacters)
    blocks.push(
      createHash('sha256')
        .update(blocks.at(-1) ?? '')
        .update(text.slice(end - blockCharacters, end))
        .digest('base64url'),
    )
  return blocks
}

const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64url')

export class Sent {
  readonly #under = new Map<string, number>()
  readonly #read = new Map<string, Set<string>>()

  /** Questions under way to a model of a node. */
  count(node: string, model: string): number {
    return this.#under.get(keyOf(node, model)) ?? 0
  }

  /** Those of these blocks that it has read from here. */
  known(node: string, model: string, blocks: readonly string[]): string[] {
    const read = this.#read.get(keyOf(node, model))
    return read ? blocks.filter((block) => read.has(block)) : []
  }

  /** What it returns is called when the question has ended; true: its prompt was read. */
  begin(node: string, model: string, blocks: readonly string[]): (wasRead: boolean) => void {
    const key = keyOf(node, model)
    this.#under.set(key, this.count(node, model) + 1)
    return (wasRead) => {
      const left = this.count(node, model) - 1
      if (left > 0) this.#under.set(key, left)
      else this.#under.delete(key)
      if (wasRead) this.#keep(key, blocks)
    }
  }

  /** A model that is gone, or was loaded anew, has read nothing. */
  forget(node: string): void {
    for (const key of this.#read.keys()) if (key.startsWith(`${node}\0`)) this.#read.delete(key)
  }

  #keep(key: string, blocks: readonly string[]): void {
    const known = this.#read.get(key) ?? new Set()
    this.#read.set(key, known)
    for (const block of blocks) {
      known.delete(block)
      known.add(block)
    }
    for (const block of known) {
      if (known.size <= mostBlocks) break
      known.delete(block)
    }
  }
}

const keyOf = (node: string, model: string) => `${node}\0${model}`

const kept = new WeakMap<MeshNode, Sent>()

export function sentBy(node: MeshNode): Sent {
  const known = kept.get(node)
  if (known) return known
  const sent = new Sent()
  kept.set(node, sent)
  node.directory.onLost(({ name }) => sent.forget(name))
  return sent
}
