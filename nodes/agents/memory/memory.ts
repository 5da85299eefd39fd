/**
 * What an agent keeps from one task to the next: texts, each with how sensitive it is and where it came from, in a sealed bucket of the broker.
 *
 *     const memory = await openMemory({ transport, addresses, key: authority.tasksKey, of: 'clerk' })
 *     await memory.remember('Ada pays in advance.', { seen: session.sensitivity, source: 'task 7' })
 *     memory.recall('who pays in advance?')        // [{ text: 'Ada pays in advance.', seen, source, … }]
 *     await memory.close()
 *
 * 1. An entry carries the label of all that its writer had seen, and a label only rises: remembered again it is as sensitive as both times together.
 * 2. A memory is bounded. A full one says so to whoever would add to it; nothing is dropped to make room.
 * 3. Remembering the same text twice is remembering it once, so a step that is repeated adds nothing.
 * 4. The broker sees how many entries there are and how long; it cannot read, change or move one. One that does not open is left out.
 */
import { z } from 'zod'
import type { Addresses } from '../../../mesh/address.js'
import { decode, encode } from '../../../mesh/codec.js'
import { openWith, sealWith } from '../../../mesh/seal/box.js'
import { digest, hex, utf8 } from '../../../mesh/seal/keys.js'
import type { Bucket, Entry, Subscription, Transport } from '../../../mesh/transport/transport.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { type Sensitivity, sensitivitySchema } from '../../../policies/router-label.js'
import { joinSensitivity } from '../../../router/label.js'
import { rank } from './rank.js'

export const longestText = 4096

const rememberedSchema = z.object({
  /** Of the text, under the memory's key: the same text has the same. */
  id: z.string(),
  text: z.string(),
  seen: sensitivitySchema,
  /** Who said it and in which task, in words. */
  source: z.string(),
  /** Unix time, ms. */
  at: z.number(),
})
export type Remembered = z.output<typeof rememberedSchema>

export interface MemoryOptions {
  transport: Transport
  addresses: Addresses
  /** 32 secret bytes that seal every entry: those of the tasks, which supervisors alone have. */
  key: Uint8Array
  /** Whose memory it is: agents that say the same share it. */
  of: string
  /** Entries; 1,000 unless said otherwise. */
  most?: number
  now?: () => number
}

export async function openMemory(options: MemoryOptions): Promise<Memory> {
  const { transport, addresses, of } = options
  const memory = new Memory(await transport.bucket(addresses.memory), addresses.memoryKey(of), options)
  await memory.begin()
  return memory
}

const tries = 8

export class Memory {
  readonly #bucket: Bucket
  readonly #place: string
  readonly #key: Uint8Array
  readonly #most: number
  readonly #now: () => number
  readonly #held = new Map<string, { remembered: Remembered; revision: number }>()
  #watch: Subscription | undefined

  /** `place`: the first part of its keys in the bucket. Call `begin` before anything else. */
  constructor(bucket: Bucket, place: string, { key, of, most = 1000, now = Date.now }: MemoryOptions) {
    this.#bucket = bucket
    this.#place = place
    this.#key = digest(utf8('clawmesh memory 1\0'), key, utf8(of))
    this.#most = most
    this.#now = now
  }

  async begin(): Promise<void> {
    this.#watch = await this.#bucket.watch((entry) => this.#take(entry))
  }

  /** Oldest first. */
  list(): Remembered[] {
    return [...this.#held.values()].map(({ remembered }) => remembered).sort((a, b) => a.at - b.at)
  }

  /** Those that have words of the question, the best first, at most so many. */
  recall(question: string, most = 5): Remembered[] {
    return rank(question, this.list()).slice(0, most)
  }

  /** @throws ClawmeshError USAGE for a text that is empty or too long and where there is no room, FENCED where others write the same text all the time */
  async remember(text: string, { seen, source }: Pick<Remembered, 'seen' | 'source'>): Promise<Remembered> {
    const words = text.trim()
    if (words === '' || words.length > longestText)
      throw new ClawmeshError('USAGE', `A memory is a text of 1 to ${longestText} characters.`, {
        hint: 'Say what matters of it.',
      })
    const id = hex(digest(this.#key, utf8(words))).slice(0, 24)
    for (let attempt = 0, last = 0; attempt < tries; attempt += 1) {
      const known = this.#held.get(id)
      if (!known && this.#held.size >= this.#most)
        throw new ClawmeshError('USAGE', `The memory holds ${this.#most} texts and no more.`, {
          hint: 'Forget some of them.',
        })
      const joined: Sensitivity = known ? joinSensitivity([known.remembered.seen, seen]) : seen
      const remembered: Remembered = { id, text: words, seen: joined, source, at: this.#now() }
      const key = this.#keyOf(id)
      const value = sealWith(this.#key, encode(remembered), utf8(key))
      const revision = await this.#bucket.swap(key, value, known?.revision ?? last)
      if (revision === undefined) {
        const latest = await this.#bucket.get(key)
        if (latest) this.#take(latest)
        // What was forgotten has left a mark in the bucket, over which it is written anew.
        last = latest?.value === undefined ? (latest?.revision ?? 0) : 0
        continue
      }
      this.#held.set(id, { remembered, revision })
      return remembered
    }
    throw new ClawmeshError('FENCED', 'Others write this memory at the same time.', { hint: 'Try again.' })
  }

  /** Whether there was one. What was said of it elsewhere, the audit trail first, stays. */
  async forget(id: string): Promise<boolean> {
    if (!this.#held.has(id)) return false
    await this.#bucket.delete(this.#keyOf(id))
    this.#held.delete(id)
    return true
  }

  /** All of it. Resolves to how many there were. */
  async erase(): Promise<number> {
    const ids = [...this.#held.keys()]
    for (const id of ids) await this.forget(id)
    return ids.length
  }

  /** Nothing is seen after it. */
  close(): void {
    this.#watch?.unsubscribe()
  }

  #keyOf(id: string): string {
    return `${this.#place}.${id}`
  }

  #take({ key, value, revision }: Entry): void {
    if (!key.startsWith(`${this.#place}.`)) return
    const id = key.slice(this.#place.length + 1)
    if ((this.#held.get(id)?.revision ?? 0) > revision) return
    const remembered = value && this.#open(key, value)
    if (remembered?.id === id) this.#held.set(id, { remembered, revision })
    else this.#held.delete(id)
  }

  #open(key: string, value: Uint8Array): Remembered | undefined {
    try {
      return rememberedSchema.parse(decode(openWith(this.#key, value, utf8(key))))
    } catch (error) {
      if (error instanceof ClawmeshError || error instanceof z.ZodError) return undefined
      throw error
    }
  }
}
