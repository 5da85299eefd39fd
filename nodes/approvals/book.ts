/** Questions on the broker's disk, each sealed: what was asked and answered outlives the process that asked people. */
import { z } from 'zod'
import { decode, encode } from '../../mesh/codec.js'
import { openWith, sealWith } from '../../mesh/seal/box.js'
import { digest, utf8 } from '../../mesh/seal/keys.js'
import type { Bucket, Entry } from '../../mesh/transport/transport.js'
import { ClawmeshError } from '../../policies/errors.js'
import { type Question, questionSchema } from './question.js'

/** A question, and the revision of the bucket that holds it. */
export interface Kept {
  question: Question
  revision: number
}

export class Book {
  readonly #bucket: Bucket
  readonly #key: Uint8Array

  /** `secret`: 32 bytes that supervisors alone have. */
  constructor(bucket: Bucket, secret: Uint8Array) {
    this.#bucket = bucket
    this.#key = digest(utf8('clawmesh approvals\0'), secret)
  }

  /** Oldest first. What does not open is nobody's question, and is left out. */
  async read(): Promise<Kept[]> {
    const entries = new Map<string, Entry>()
    const watch = await this.#bucket.watch((entry) => entries.set(entry.key, entry))
    watch.unsubscribe()
    return [...entries.values()].flatMap((entry) => this.#open(entry)).sort((a, b) => a.revision - b.revision)
  }

  /** Throws FENCED if somebody else has written it since `revision` (0: it must be new). */
  async write(question: Question, revision: number): Promise<number> {
    const value = sealWith(this.#key, encode(question), utf8(question.id))
    const written = await this.#bucket.swap(question.id, value, revision)
    if (written !== undefined) return written
    throw new ClawmeshError('FENCED', `Question ${question.id} is kept by another process.`, {
      hint: 'Look at it again.',
    })
  }

  forget(id: string): Promise<void> {
    return this.#bucket.delete(id)
  }

  #open({ key, value, revision }: Entry): Kept[] {
    if (value === undefined) return []
    try {
      const question = questionSchema.parse(decode(openWith(this.#key, value, utf8(key))))
      return question.id === key ? [{ question, revision }] : []
    } catch (error) {
      if (error instanceof ClawmeshError || error instanceof z.ZodError) return []
      throw error
    }
  }
}
