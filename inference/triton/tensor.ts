import { ClawmeshError } from '../../policies/errors.js'

/** What an input is set to: its datatype decides how that is written. */
export type TensorValue = string | boolean | number | readonly string[] | readonly number[]

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
  const elements: readonly (string | boolean | number)[] = typeof value === 'object' ? value : [value]
  const count = elements.length
  if (datatype === 'BYTES') return { count, raw: Buffer.concat(elements.map((each) => withLength(String(each)))) }
  const form = numbers[datatype]
  if (!form)
    throw new ClawmeshError(
      'MODEL_UNSUITED',
      `The model takes a tensor of type ${datatype}, which is not written here.`,
      {
        hint: 'Use the vLLM or TensorRT-LLM backend of Triton with its usual inputs.',
      },
    )
  const raw = Buffer.alloc(count * form.size)
  for (const [i, each] of elements.entries()) form.put(raw, Number(each), i * form.size)
  return { count, raw }
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
  const form = numbers[datatype]
  if (!form) return { name, values: [] }
  if (raw.length % form.size !== 0) throw unreadable(name, `${raw.length} bytes are no whole number of ${datatype}`)
  return { name, values: Array.from({ length: raw.length / form.size }, (_, i) => form.get(raw, i * form.size)) }
}

interface NumberForm {
  /** Bytes of one. */
  size: number
  get(raw: Buffer, offset: number): number
  put(raw: Buffer, value: number, offset: number): void
}

const numbers: Record<string, NumberForm> = {
  BOOL: { size: 1, get: (raw, at) => raw.readUInt8(at), put: (raw, value, at) => raw.writeUInt8(value, at) },
  INT32: { size: 4, get: (raw, at) => raw.readInt32LE(at), put: (raw, value, at) => raw.writeInt32LE(value, at) },
  UINT32: { size: 4, get: (raw, at) => raw.readUInt32LE(at), put: (raw, value, at) => raw.writeUInt32LE(value, at) },
  FP32: { size: 4, get: (raw, at) => raw.readFloatLE(at), put: (raw, value, at) => raw.writeFloatLE(value, at) },
  INT64: {
    size: 8,
    get: (raw, at) => Number(raw.readBigInt64LE(at)),
    put: (raw, value, at) => raw.writeBigInt64LE(BigInt(value), at),
  },
  UINT64: {
    size: 8,
    get: (raw, at) => Number(raw.readBigUInt64LE(at)),
    put: (raw, value, at) => raw.writeBigUInt64LE(BigInt(value), at),
  },
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
