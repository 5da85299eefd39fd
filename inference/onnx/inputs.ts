/** What a graph takes, read from its file without loading it: a file of many gigabytes is passed over field by field. */
import { type FileHandle, open } from 'node:fs/promises'

/** A field of a protobuf message: a number, or bytes of the file. */
interface Field {
  number: number
  value: number
  /** Where its content begins and ends; the same for a number. */
  from: number
  to: number
}

/** Bytes of one number, by onnx.proto's TensorProto.DataType. */
const bytesOfType: Record<number, number> = { 1: 4, 2: 1, 3: 1, 10: 2, 11: 8, 16: 2 }

/** What a graph carries from token to token, as far as its file says it. */
export interface Carried {
  /** Bytes of one number of the keys and values; undefined for a graph without any, or no graph at all. */
  numberBytes: number | undefined
  /** Bytes of all else that one answer carries along, whatever its length: the states of a hybrid. */
  stateBytes: number
}

/** From the inputs `past_…` of a graph's file. */
export async function readCarried(path: string): Promise<Carried> {
  const carried: Carried = { numberBytes: undefined, stateBytes: 0 }
  const file = await open(path).catch(() => undefined)
  if (!file) return carried
  try {
    const { size } = await file.stat()
    const reader = new Reader(file, size)
    // ModelProto.graph, GraphProto.input.
    for await (const graph of reader.within({ from: 0, to: size }, 7))
      for await (const input of reader.within(graph, 11)) {
        const [name] = await reader.all(input, 1)
        const called = name ? await reader.text(name) : ''
        if (!called.startsWith('past_') || called === 'past_lengths') continue
        const { bytes, dims } = await typeOf(reader, input)
        if (called.startsWith('past_key_values.')) carried.numberBytes ??= bytes
        // Of one answer, without the batch. A graph that does not say a size is not loaded.
        else carried.stateBytes += (bytes ?? 0) * dims.slice(1).reduce((product, each) => product * each, 1)
      }
    return carried
  } finally {
    await file.close()
  }
}

/** ValueInfoProto.type, TypeProto.tensor_type; its elem_type, and each dim_value of its shape: 0 for one that differs from run to run. */
async function typeOf(reader: Reader, input: Range): Promise<{ bytes: number | undefined; dims: number[] }> {
  const [type] = await reader.all(input, 2)
  const [tensor] = type ? await reader.all(type, 1) : []
  if (!tensor) return { bytes: undefined, dims: [] }
  const [element] = await reader.all(tensor, 1)
  const [shape] = await reader.all(tensor, 2)
  const dims: number[] = []
  for (const dim of shape ? await reader.all(shape, 1) : []) dims.push((await reader.all(dim, 1))[0]?.value ?? 0)
  return { bytes: element && bytesOfType[element.value], dims }
}

type Range = Pick<Field, 'from' | 'to'>

/** Longest name that is read. */
const longestName = 1024
const pieceBytes = 16_384

class Reader {
  private readonly file: FileHandle
  private readonly size: number
  private piece = Buffer.alloc(0)
  private pieceAt = 0

  constructor(file: FileHandle, size: number) {
    this.file = file
    this.size = size
  }

  async all(range: Range, number: number): Promise<Field[]> {
    const found: Field[] = []
    for await (const field of this.within(range, number)) found.push(field)
    return found
  }

  async text({ from, to }: Range): Promise<string> {
    if (to - from > longestName) return ''
    const bytes: number[] = []
    for (let at = from; at < to; at++) bytes.push(await this.byte(at))
    return Buffer.from(bytes).toString('utf8')
  }

  /** The fields of this number. Ends where the file is no such message. */
  async *within({ from, to }: Range, number: number): AsyncGenerator<Field> {
    for (let at = from; at < to; ) {
      const key = await this.varint(at)
      const [kind, of] = [key.value & 7, Math.floor(key.value / 8)]
      const head =
        kind === 0 || kind === 2 ? await this.varint(key.to) : { value: 0, to: key.to + (kind === 1 ? 8 : 4) }
      if (kind !== 0 && kind !== 1 && kind !== 2 && kind !== 5) return
      const end = kind === 2 ? head.to + head.value : head.to
      if (end > to || end <= at) return
      if (of === number) yield { number: of, value: head.value, from: head.to, to: end }
      at = end
    }
  }

  private async varint(at: number): Promise<{ value: number; to: number }> {
    let value = 0
    for (let i = 0; i < 10; i++) {
      const byte = await this.byte(at + i)
      value += (byte & 127) * 2 ** (7 * i)
      if (byte < 128) return { value, to: at + i + 1 }
    }
    return { value, to: at + 10 }
  }

  /** 0 behind the end. */
  private async byte(at: number): Promise<number> {
    if (at < this.pieceAt || at >= this.pieceAt + this.piece.length) {
      if (at >= this.size) return 0
      const piece = Buffer.alloc(Math.min(pieceBytes, this.size - at))
      const { bytesRead } = await this.file.read(piece, 0, piece.length, at)
      this.piece = piece.subarray(0, bytesRead)
      this.pieceAt = at
    }
    return this.piece[at - this.pieceAt] ?? 0
  }
}
