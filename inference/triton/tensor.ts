import { ClawmeshError } from '../../policies/errors.js'

/** What an input is set to: its datatype decides how that is written. */
export type TensorValue = string | boolean | number | readonly string[]

/** An input or output as ModelMetadata describes it; -1 in a shape is any size. */
export interface TensorInfo {
  name: string
  datatype: string
  shape: readonly number[]
}

/** A tensor of an answer: text for BYTES, numbers for the rest. */
export interface OutputTensor {
  name: string
  values: readonly (string | number)[]
}

/** Longest text in one tensor, in bytes. */
const longestText = 4_000_000

/** The bytes of a tensor as raw contents hold them (little-endian; BYTES with a length of four bytes before each element). */
export function encodeTensor(datatype: string, value: TensorValue): { count: number; raw: Buffer } {
  if (datatype === 'BYTES') {
    const texts = typeof value === 'object' ? value : [String(value)]
    return { count: texts.length, raw: Buffer.concat(texts.map(withLength)) }
  }
  const raw = Buffer.alloc(8)
  const number = Number(value)
  switch (datatype) {
    case 'BOOL':
      return { count: 1, raw: raw.subarray(0, raw.writeUInt8(number)) }
    case 'INT32':
      return { count: 1, raw: raw.subarray(0, raw.writeInt32LE(number)) }
    case 'UINT32':
      return { count: 1, raw: raw.subarray(0, raw.writeUInt32LE(number)) }
    case 'INT64':
      return { count: 1, raw: raw.subarray(0, raw.writeBigInt64LE(BigInt(number))) }
    case 'UINT64':
      return { count: 1, raw: raw.subarray(0, raw.writeBigUInt64LE(BigInt(number))) }
    case 'FP32':
      return { count: 1, raw: raw.subarray(0, raw.writeFloatLE(number)) }
    default:
      throw new ClawmeshError(
        'MODEL_UNSUITED',
        `The model takes a tensor of type ${datatype}, which is not written here.`,
        {
          hint: 'Use the vLLM or TensorRT-LLM backend of Triton with its usual inputs.',
        },
      )
  }
}

function withLength(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8')
  const length = Buffer.alloc(4)
  length.writeUInt32LE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** The elements of a tensor from its raw contents. Types that nothing here reads come out empty. Throws MODEL_FAILED. */
export function decodeTensor(name: string, datatype: string, raw: Buffer): OutputTensor {
  if (datatype === 'BYTES') return { name, values: textsOf(name, raw) }
  const read = readers[datatype]
  if (!read) return { name, values: [] }
  if (raw.length % read.size !== 0) throw unreadable(name, `${raw.length} bytes are no whole number of ${datatype}`)
  return { name, values: Array.from({ length: raw.length / read.size }, (_, i) => read.at(raw, i * read.size)) }
}

const readers: Record<string, { size: number; at(raw: Buffer, offset: number): number }> = {
  BOOL: { size: 1, at: (raw, offset) => raw.readUInt8(offset) },
  INT32: { size: 4, at: (raw, offset) => raw.readInt32LE(offset) },
  UINT32: { size: 4, at: (raw, offset) => raw.readUInt32LE(offset) },
  FP32: { size: 4, at: (raw, offset) => raw.readFloatLE(offset) },
  INT64: { size: 8, at: (raw, offset) => Number(raw.readBigInt64LE(offset)) },
  UINT64: { size: 8, at: (raw, offset) => Number(raw.readBigUInt64LE(offset)) },
}

function textsOf(name: string, raw: Buffer): string[] {
  const texts: string[] = []
  for (let at = 0; at < raw.length; ) {
    const length = at + 4 <= raw.length ? raw.readUInt32LE(at) : Number.POSITIVE_INFINITY
    if (length > longestText || at + 4 + length > raw.length)
      throw unreadable(name, 'its length does not fit its bytes')
    texts.push(decodeText(name, raw.subarray(at + 4, at + 4 + length)))
    at += 4 + length
  }
  return texts
}

export function decodeText(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw unreadable(name, 'its bytes are not UTF-8')
  }
}

function unreadable(name: string, why: string): ClawmeshError {
  return new ClawmeshError('MODEL_FAILED', `The tensor ${name} of the model server cannot be read: ${why}.`, {
    hint: 'Look at the log of the server, and ask again.',
  })
}
