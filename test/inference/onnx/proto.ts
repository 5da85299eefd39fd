/** onnx.proto, written by hand: a message is its fields, a field its number and its content. */
export type Field = [number, number | string | Uint8Array]

/** Numbers as varints, the rest with its length in front. */
export function message(...fields: Field[]): Uint8Array {
  const pieces = fields.flatMap(([field, content]) => {
    if (typeof content === 'number') return [varint(field << 3), varint(content)]
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
    return [varint((field << 3) | 2), varint(bytes.length), bytes]
  })
  return Buffer.concat(pieces)
}

/** One number of a graph's attribute, such as an axis. */
export function integer(name: string, value: number): Uint8Array {
  return message([1, name], [3, value], [20, 2])
}

export function integers(name: string, values: readonly number[]): Uint8Array {
  return message([1, name], ...values.map((value): Field => [8, value]), [20, 7])
}

export function node(operator: string, inputs: string[], outputs: string[], ...attributes: Uint8Array[]): Uint8Array {
  return message(
    ...inputs.map((input): Field => [1, input]),
    ...outputs.map((output): Field => [2, output]),
    [4, operator],
    ...attributes.map((attribute): Field => [5, attribute]),
  )
}

/** A node of an operator that is not ONNX's own but onnxruntime's. */
export function microsoftNode(operator: string, inputs: string[], outputs: string[], ...attributes: Uint8Array[]) {
  return Buffer.concat([node(operator, inputs, outputs, ...attributes), message([7, 'com.microsoft'])])
}

/** The types that are used here, by their number in onnx.proto. */
export const types = { float: 1, int32: 6, int64: 7, float16: 10 } as const

/** An input or output: a dimension is a size, or the name of one that differs from run to run. */
export function value(name: string, type: number, shape: (number | string)[]): Uint8Array {
  const dims = shape.map((size): Field => [1, message(typeof size === 'number' ? [1, size] : [2, size])])
  return message([1, name], [2, message([1, message([1, type], [2, message(...dims)])])])
}

export function tensor(name: string, shape: readonly number[], content: Float32Array | BigInt64Array): Uint8Array {
  const type = content instanceof Float32Array ? types.float : types.int64
  const bytes = new Uint8Array(content.buffer, content.byteOffset, content.byteLength)
  return message(...shape.map((size): Field => [1, size]), [2, type], [8, name], [9, bytes])
}

/** One whose numbers lie in another file, float32. */
export function outsideTensor(name: string, shape: readonly number[], file: string): Uint8Array {
  return message(
    ...shape.map((size): Field => [1, size]),
    [2, types.float],
    [8, name],
    [13, message([1, 'location'], [2, file])],
    [14, 1],
  )
}

/** A whole model of opset 17, of parts made by the functions above. */
export function model(parts: {
  nodes: Uint8Array[]
  constants: Uint8Array[]
  inputs: Uint8Array[]
  outputs: Uint8Array[]
}): Uint8Array {
  const fields = (field: number, each: Uint8Array[]) => each.map((part): Field => [field, part])
  const graph = message(
    ...fields(1, parts.nodes),
    [2, 'graph'],
    ...fields(5, parts.constants),
    ...fields(11, parts.inputs),
    ...fields(12, parts.outputs),
  )
  return message([1, 8], [8, message([1, ''], [2, 17])], [8, message([1, 'com.microsoft'], [2, 1])], [7, graph])
}

/** Negative numbers take ten bytes, as in the format. */
function varint(value: number): Uint8Array {
  if (value < 0) {
    const bytes = Buffer.alloc(10)
    for (let i = 0, left = BigInt.asUintN(64, BigInt(value)); i < 10; i++, left >>= 7n)
      bytes[i] = Number(left & 127n) | (i < 9 ? 128 : 0)
    return bytes
  }
  const bytes: number[] = []
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return Uint8Array.from([...bytes, left])
    bytes.push((left % 128) | 128)
  }
}
