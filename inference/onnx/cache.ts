import type { Tensor } from 'onnxruntime-node'
import type { DecoderShape } from './config.js'
import { bytesOfNumber, type Numbers, type NumberType, tensorOf, zeros } from './numbers.js'

/** Capacity grows by at least this many rows, and by a quarter: attention is computed over all of it. */
const granule = 64
/** Rows that are kept from one answer to the next, so that short ones need no new memory. */
const spare = 256

/** What a graph carries from token to token beside keys and values: of a size that does not grow, such as a Mamba layer's state. */
export interface StateShape {
  /** Behind `past_` and `present_`: "ssm.3". */
  name: string
  type: NumberType
  /** Of one sequence, without the batch. */
  dims: readonly number[]
}

/** Which tensors a graph carries along. */
export interface Layout {
  /** `N.key` and `N.value` of each layer that has them. */
  names: readonly string[]
  /** Of keys and values. */
  type: NumberType
  states: readonly StateShape[]
}

const plainLayout = ({ layers }: DecoderShape): Layout => ({
  names: Array.from({ length: layers }, (_, i) => [`${i}.key`, `${i}.value`]).flat(),
  type: 'float32',
  states: [],
})

/**
 * Keys and values of all answers under way, in memory that stays where it is between steps: a graph reads it in place, and only new rows are written.
 *
 * 1. The slots in use are 0 … size - 1. When one is closed the last one moves into its place.
 * 2. Each tensor is [slots, heads, capacity, dim]; of a slot the first `length(slot)` rows count. Behind them are zeros: a graph multiplies them with zero, and what
 *    an answer left there must be nobody else's, nor something that is not a number.
 * 3. States are a slot's own copies, zeros at first; a graph gives new ones, which take their place.
 */
export class Cache {
  /** `N.key` and `N.value` of each layer. */
  readonly names: readonly string[]
  readonly context: number
  /** Numbers of one token in one tensor. */
  readonly numbersPerRow: number
  readonly states: readonly StateShape[]
  private readonly type: NumberType
  private readonly heads: number
  private readonly dim: number
  /** For each slot, in the order of `states`. */
  private readonly held: Numbers[][] = []
  private readonly lengths: number[] = []
  private readonly tensors: Numbers[]
  private slots = 0
  private rows = 0

  constructor(shape: DecoderShape, { names, type, states }: Layout = plainLayout(shape)) {
    const { kvHeads, headDim, context } = shape
    this.names = names
    this.type = type
    this.states = states
    this.heads = kvHeads
    this.dim = headDim
    this.context = context
    this.numbersPerRow = kvHeads * headDim
    this.tensors = this.names.map(() => zeros(type, 0))
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

  /** The bytes that so many slots of so many tokens can come to, with the room for growth. */
  bytesOf(slots: number, tokens: number): number {
    const rows = powerOfTwo(slots) * this.grown(tokens)
    const states = this.states.reduce((sum, { dims, type }) => sum + sizeOf(dims) * bytesOfNumber[type], 0)
    return rows * this.numbersPerRow * this.names.length * bytesOfNumber[this.type] + slots * states
  }

  /** A new empty slot: the last one. */
  open(): number {
    const slot = this.lengths.push(0) - 1
    this.held.push(this.states.map(({ dims, type }) => zeros(type, sizeOf(dims))))
    if (slot >= this.slots) this.layOut(powerOfTwo(slot + 1), Math.max(granule, this.rows))
    return slot
  }

  /** Frees a slot; the last one takes its number (invariant 1). */
  close(slot: number): void {
    const last = this.lengths.length - 1
    const ended = this.length(slot)
    if (slot !== last) this.move(last, slot)
    this.lengths[slot] = this.length(last)
    this.clear(slot, this.length(last), ended)
    this.clear(last, 0, this.length(last))
    this.lengths.pop()
    const moved = this.held.pop()
    if (slot !== last && moved) this.held[slot] = moved
    const longest = Math.max(0, ...this.lengths)
    if (this.rows > spare && longest * 4 <= this.rows) this.layOut(powerOfTwo(this.size), roundUp(longest + 1))
  }

  /** `count` slots from `first` on, as a graph takes them: [count, heads, capacity, dim], without a copy. */
  view(first: number, count: number): Tensor[] {
    const size = this.heads * this.rows * this.dim
    const dims = [count, this.heads, this.rows, this.dim]
    return this.tensors.map((all) => tensorOf(all.subarray(first * size, (first + count) * size), dims))
  }

  /** The states of `count` slots from `first` on, side by side: copies. */
  stacked(first: number, count: number): Tensor[] {
    return this.states.map(({ dims, type }, i) => {
      const size = sizeOf(dims)
      const all = zeros(type, count * size)
      for (let at = 0; at < count; at++) all.set(this.held[first + at]?.[i] ?? [], at * size)
      return tensorOf(all, [count, ...dims])
    })
  }

  /** Takes the new states of a slot, which stand at place `at` of a batch. */
  restate(slot: number, given: readonly Numbers[], at: number): void {
    this.held[slot] = this.states.map(({ dims, type }, i) => {
      const size = sizeOf(dims)
      return given[i]?.slice(at * size, (at + 1) * size) ?? zeros(type, size)
    })
  }

  /** A copy of one slot with no room behind its rows: [1, heads, length, dim]. */
  exact(slot: number): Tensor[] {
    const length = this.length(slot)
    const dims = [1, this.heads, length, this.dim]
    return this.tensors.map((all) => tensorOf(this.cut(all, slot, 0, length), dims))
  }

  /**
   * Writes `count` new rows behind those that a slot has. `given`, for each name: [batch, heads, of, dim], of which they are the rows from `from` on at
   * place `at` of the batch.
   */
  append(slot: number, count: number, given: readonly Numbers[], at: number, from: number, of: number): void {
    const { heads, dim } = this
    const length = this.length(slot)
    if (length + count > this.rows) this.layOut(this.slots, this.grown(Math.max(length + count, this.rows)))
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

  /** Makes room for so many rows behind those of a slot, where a graph writes them itself. */
  reserve(slot: number, count: number): void {
    const wanted = this.length(slot) + count
    if (wanted > this.rows) this.layOut(this.slots, this.grown(Math.max(wanted, this.rows)))
  }

  /** Counts rows that a graph has written behind those of a slot. */
  advance(slot: number, count: number): void {
    this.lengths[slot] = this.length(slot) + count
  }

  /** The rows of some tokens of a slot, of all tensors one after the other. */
  copyOut(slot: number, from: number, count: number): Numbers {
    const size = this.heads * count * this.dim
    const block = zeros(this.type, this.tensors.length * size)
    for (const [i, all] of this.tensors.entries()) block.set(this.cut(all, slot, from, count), i * size)
    return block
  }

  /** Puts what `copyOut` gave behind the rows that a slot has. */
  copyIn(slot: number, block: Numbers): void {
    const size = block.length / this.tensors.length
    const count = size / (this.heads * this.dim)
    const rows = this.names.map((_, i) => block.subarray(i * size, (i + 1) * size))
    this.append(slot, count, rows, 0, 0, count)
  }

  private cut(all: Numbers, slot: number, from: number, count: number): Numbers {
    const cut = zeros(this.type, this.heads * count * this.dim)
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

  private clear(slot: number, from: number, to: number): void {
    for (const all of this.tensors)
      for (let head = slot * this.heads; from < to && head < (slot + 1) * this.heads; head++)
        all.fill(0, (head * this.rows + from) * this.dim, (head * this.rows + to) * this.dim)
  }

  /** The capacity for so many tokens: a quarter more, but no more than the context has. */
  private grown(tokens: number): number {
    return Math.max(tokens, Math.min(roundUp(this.context), roundUp(tokens * 1.25)))
  }

  private layOut(slots: number, rows: number): void {
    const { heads, dim } = this
    // One after the other: both layouts of all of them would be twice the memory.
    for (const [i, old] of this.tensors.entries()) {
      const all = zeros(this.type, slots * heads * rows * dim)
      for (const [slot, length] of this.lengths.entries())
        for (let head = slot * heads; length > 0 && head < (slot + 1) * heads; head++) {
          const begin = head * this.rows * dim
          all.set(old.subarray(begin, begin + length * dim), head * rows * dim)
        }
      this.tensors[i] = all
    }
    this.slots = slots
    this.rows = rows
  }
}

const sizeOf = (dims: readonly number[]): number => dims.reduce((product, size) => product * size, 1)

/** Slots are laid out in ever greater steps, so that few joins move everything. */
function powerOfTwo(slots: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, slots)))
}

function roundUp(rows: number): number {
  return Math.ceil(rows / granule) * granule
}
