import { Tensor } from 'onnxruntime-node'
import { widenedHalves } from './half.js'

/** What a graph carries from token to token: numbers, or the bits of halves. They are moved and cleared, never reckoned with, and zero has no bits in either. */
export type Numbers = Float32Array | Uint16Array
export type NumberType = 'float32' | 'float16'

export const bytesOfNumber = {
  float32: Float32Array.BYTES_PER_ELEMENT,
  float16: Uint16Array.BYTES_PER_ELEMENT,
} as const

export const zeros = (type: NumberType, count: number): Numbers =>
  type === 'float16' ? new Uint16Array(count) : new Float32Array(count)

export const isNumberType = (type: string): type is NumberType => type === 'float32' || type === 'float16'

/** The numbers of a tensor, in its own memory. undefined for a tensor of another type. */
export function numbersOf({ type, data }: Tensor): Numbers | undefined {
  if (data instanceof Float32Array || data instanceof Uint16Array) return isNumberType(type) ? data : undefined
  // Where JavaScript has arrays of halves, halves come in one.
  return type === 'float16' && ArrayBuffer.isView(data)
    ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / Uint16Array.BYTES_PER_ELEMENT)
    : undefined
}

/** A tensor in the memory of the numbers. */
export function tensorOf(numbers: Numbers, dims: readonly number[]): Tensor {
  if (numbers instanceof Float32Array) return new Tensor('float32', numbers, dims)
  // Made as what JavaScript takes the bits for, and then named as what they are: where JavaScript has arrays of halves, Tensor would put them into one, and
  // onnxruntime's native part (1.30) takes such an array for an empty one.
  return Object.assign(new Tensor('uint16', numbers, dims), { type: 'float16' })
}

/** Numbers that can be reckoned with: halves are widened, into memory of their own. */
export function widened(numbers: Numbers): Float32Array {
  return numbers instanceof Float32Array ? numbers : widenedHalves(numbers)
}
