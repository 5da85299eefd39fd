import { Tensor } from 'onnxruntime-node'
import type { DecoderShape } from './config.js'

/** Capacity grows by at least this many rows, and by a quarter: attention is computed over all of it. */
const granule = 64
/** Rows that are kept from one answer to the next, so that short ones need no new memory. */
const spare = 256

/**
 * Keys and values of all answers under way, in memory that stays where it is between steps: a graph reads it in place, and only new rows are written.
 *
 * 1. The slots in use are 0 … size - 1. When one is closed the last one moves into its place.
 * 2. Each tensor is [slots, heads, capacity, dim]; of a slot the first `length(slot)` rows count, what lies behind them is some number.
 */
export class Cache {
  /** `N.key` and `N.value` of each layer. */
  readonly names: readonly string[]
  readonly bytesPerToken: number
  readonly context: number
  private readonly heads: number
  private readonly dim: number
  private readonly lengths: number[] = []
  private tensors: Float32Array[]
  private slots = 0
  private rows = 0

  constructor({ layers, kvHeads, headDim, context }: DecoderShape) {
    this.names = Array.from({ length: layers }, (_, i) => [`${i}.key`, `${i}.value`]).flat()
    this.heads = kvHeads
    this.dim = headDim
    this.context = context
    this.bytesPerToken = this.names.length * kvHeads * headDim * Float32Array.BYTES_PER_ELEMENT
    this.tensors = this.names.map(() => new Float32Array(0))
  }

  get size(): number {
    return this.lengths.length
  }

  /** Rows that there is room for in each slot. */
  get capacity(): number {
    return this.rows
  }

  /** Tokens whose keys and values the slot holds. */
  length(slot: number): number {
    return this.lengths[slot] ?? 0
  }

  /** A new empty slot: the last one. */
  open(): number {
    const slot = this.lengths.push(0) - 1
    if (slot >= this.slots) this.layOut(Math.max(1, 2 * this.slots), Math.max(granule, this.rows))
    return slot
  }

  /** Frees a slot; the last one takes its number (invariant 1). */
  close(slot: number): void {
    const last = this.lengths.length - 1
    if (slot !== last) this.move(last, slot)
    this.lengths[slot] = this.length(last)
    this.lengths.pop()
    const longest = Math.max(0, ...this.lengths)
    if (this.rows > spare && longest * 4 <= this.rows) this.layOut(Math.max(1, this.size), roundUp(longest + 1))
  }

  /** `count` slots from `first` on, as a graph takes them: [count, heads, capacity, dim], without a copy. */
  view(first: number, count: number): Tensor[] {
    const size = this.heads * this.rows * this.dim
    const dims = [count, this.heads, this.rows, this.dim]
    return this.tensors.map((all) => new Tensor('float32', all.subarray(first * size, (first + count) * size), dims))
  }

  /** A copy of one slot with no room behind its rows: [1, heads, length, dim]. */
  exact(slot: number): Tensor[] {
    const length = this.length(slot)
    const dims = [1, this.heads, length, this.dim]
    return this.tensors.map((all) => new Tensor('float32', this.cut(all, slot, 0, length), dims))
  }

  /**
   * Writes `count` new rows behind those that a slot has. `given`, for each name: [batch, heads, of, dim], of which they are the rows from `from` on at
   * place `at` of the batch.
   */
  append(slot: number, count: number, given: readonly Float32Array[], at: number, from: number, of: number): void {
    const { heads, dim } = this
    const length = this.length(slot)
    if (length + count > this.rows) this.grow(length + count)
    for (const [i, all] of this.tensors.entries()) {
      const source = given[i]
      if (!source) throw new Error(`no new rows were given for ${this.names[i]}`)
      for (let head = 0; head < heads; head++) {
        const begin = ((at * heads + head) * of + from) * dim
        const target = ((slot * heads + head) * this.rows + length) * dim
        // A loop: a row is short, and calls of set() would cost more than its numbers.
        for (let j = 0; j < count * dim; j++) all[target + j] = source[begin + j] ?? 0
      }
    }
    this.lengths[slot] = length + count
  }

  /** The rows of some tokens of a slot, of all tensors one after the other. */
  copyOut(slot: number, from: number, count: number): Float32Array {
    const size = this.heads * count * this.dim
    const block = new Float32Array(this.tensors.length * size)
    for (const [i, all] of this.tensors.entries()) block.set(this.cut(all, slot, from, count), i * size)
    return block
  }

  /** Puts what `copyOut` gave behind the rows that a slot has. */
  copyIn(slot: number, block: Float32Array): void {
    const size = block.length / this.tensors.length
    const count = size / (this.heads * this.dim)
    const rows = this.names.map((_, i) => block.subarray(i * size, (i + 1) * size))
    this.append(slot, count, rows, 0, 0, count)
  }

  private cut(all: Float32Array, slot: number, from: number, count: number): Float32Array {
    const cut = new Float32Array(this.heads * count * this.dim)
    for (let head = 0; head < this.heads; head++) {
      const begin = ((slot * this.heads + head) * this.rows + from) * this.dim
      cut.set(all.subarray(begin, begin + count * this.dim), head * count * this.dim)
    }
    return cut
  }

  private move(from: number, to: number): void {
    const size = this.heads * this.rows * this.dim
    const head = this.rows * this.dim
    for (const all of this.tensors)
      for (let i = 0; i < this.heads; i++) {
        const begin = from * size + i * head
        all.copyWithin(to * size + i * head, begin, begin + this.length(from) * this.dim)
      }
  }

  private grow(needed: number): void {
    // Rows of padding may come behind the last place of the context, and no others.
    this.layOut(
      this.slots,
      Math.max(needed, Math.min(roundUp(this.context), roundUp(Math.max(needed, this.rows * 1.25)))),
    )
  }

  private layOut(slots: number, rows: number): void {
    const { heads, dim } = this
    this.tensors = this.tensors.map((old) => {
      const all = new Float32Array(slots * heads * rows * dim)
      for (const [slot, length] of this.lengths.entries())
        for (let head = slot * heads; head < (slot + 1) * heads; head++) {
          const begin = head * this.rows * dim
          if (length > 0) all.set(old.subarray(begin, begin + length * dim), head * rows * dim)
        }
      return all
    })
    this.slots = slots
    this.rows = rows
  }
}

function roundUp(rows: number): number {
  return Math.ceil(rows / granule) * granule
}
