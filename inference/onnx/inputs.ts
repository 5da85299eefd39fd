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

/** Bytes of one number of the keys and values that a graph takes (`past_key_values.N.…`). undefined where the file does not say: for a graph without any, or no graph at all. */
export async function cacheNumberBytes(path: string): Promise<number | undefined> {
  const file = await open(path).catch(() => undefined)
  if (!file) return undefined
  try {
    const { size } = await file.stat()
    const reader = new Reader(file, size)
    for await (const graph of reader.within({ from: 0, to: size }, 7))
      for await (const input of reader.within(graph, 11)) {
        const [name] = await reader.all(input, 1)
        if (!name || !(await reader.text(name)).startsWith('past_key_values.')) continue
        // ValueInfoProto.type, TypeProto.tensor_type, Tensor.elem_type.
        const [type] = await reader.all(input, 2)
        const [tensor] = type ? await reader.all(type, 1) : []
        const [element] = tensor ? await reader.all(tensor, 1) : []
        return element && bytesOfType[element.value]
      }
    return undefined
  } finally {
    await file.close()
  }
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
