import { createHash } from 'node:crypto'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { shippedModelFolder } from '../../inference/models.js'
import { temporaryFolder } from './folder.js'

/** Ids of the shipped tokenizer, which these models share: a byte is its own id. */
export const ids = { assistant: 258, call: 259, end: 260, size: 262 } as const

/**
 * Writes the folder of a real ONNX model that is a Markov chain: a table says which token follows which, and a cache is carried
 * along as a decoder's is. Its answers are known in advance, and it can be made never to end.
 */
export function markovModel(next: (token: number) => number, context = 1_000_000): Promise<string> {
  return writeModel(graphOf(next), { tool_call_format: 'compact' }, context)
}

/**
 * The same with a table by position: after a prompt of any length below `from`, it says what `text` says from the place `from` on, since its template fills
 * every prompt up to there. `template` is what comes before the filling.
 */
export async function scriptModel(text: string, template: string, from: number): Promise<string> {
  const bytes = [...new TextEncoder().encode(text), ids.end]
  const says = (position: number): number => bytes[position - from + 1] ?? ids.end
  const folder = await writeModel(graphOf(says, from + bytes.length, 'position_ids'), {}, from + bytes.length)
  const config = JSON.parse(await readFile(join(folder, 'tokenizer_config.json'), 'utf8'))
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify({ ...config, chat_template: template }))
  await sealModel(folder, modelFiles)
  return folder
}

const modelFiles = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.onnx']

async function writeModel(graph: Uint8Array, clawmesh: object, context: number): Promise<string> {
  const folder = await temporaryFolder()
  for (const file of ['tokenizer.json', 'tokenizer_config.json'])
    await cp(join(shippedModelFolder, file), join(folder, file))
  const config = {
    ...{ model_type: 'markov', hidden_size: 1, num_hidden_layers: 1, num_attention_heads: 1, vocab_size: ids.size },
    ...{
      max_position_embeddings: context,
      eos_token_id: ids.end,
      clawmesh: { name: 'markov', ...clawmesh },
    },
  }
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  await writeFile(join(folder, 'model.onnx'), graph)
  await sealModel(folder, modelFiles)
  return folder
}

/** Writes manifest.json for what lies in the folder. */
export async function sealModel(folder: string, paths: readonly string[]): Promise<void> {
  const files = await Promise.all(
    paths.map(async (path) => {
      const content = await readFile(join(folder, path))
      return { path, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') }
    }),
  )
  await writeFile(join(folder, 'manifest.json'), JSON.stringify({ files }))
}

/** onnx.proto, by hand: field numbers stand before their values. */
function graphOf(
  next: (token: number) => number,
  rows: number = ids.size,
  by: 'input_ids' | 'position_ids' = 'input_ids',
): Uint8Array {
  const table = new Float32Array(rows * ids.size)
  for (let token = 0; token < rows; token++) table[token * ids.size + next(token)] = 10
  const cache = (name: string): Uint8Array => value(name, 1, [1, 1, 'length', 1])
  const graph = message(
    [1, node('Gather', ['table', by], 'logits')],
    [1, node('Cast', ['input_ids'], 'numbers', message([1, 'to'], [3, 1], [20, 2]))],
    [1, node('Reshape', ['numbers', 'shape'], 'row')],
    [1, node('Concat', ['past_key_values.0.key', 'row'], 'present.0.key', message([1, 'axis'], [3, 2], [20, 2]))],
    [1, node('Concat', ['past_key_values.0.value', 'row'], 'present.0.value', message([1, 'axis'], [3, 2], [20, 2]))],
    [2, 'markov'],
    [5, message([1, rows], [1, ids.size], [2, 1], [8, 'table'], [9, new Uint8Array(table.buffer)])],
    [5, message([1, 4], [2, 7], [8, 'shape'], [9, new Uint8Array(BigInt64Array.of(1n, 1n, -1n, 1n).buffer)])],
    ...[
      value('input_ids', 7, [1, 'tokens']),
      ...(by === 'position_ids' ? [value(by, 7, [1, 'tokens'])] : []),
      cache('past_key_values.0.key'),
      cache('past_key_values.0.value'),
    ].map((input): Field => [11, input]),
    ...[value('logits', 1, [1, 'tokens', ids.size]), cache('present.0.key'), cache('present.0.value')].map(
      (output): Field => [12, output],
    ),
  )
  return message([1, 8], [8, message([1, ''], [2, 17])], [7, graph])
}

function node(operator: string, inputs: string[], output: string, ...attributes: Uint8Array[]): Uint8Array {
  return message(
    ...inputs.map((input): Field => [1, input]),
    [2, output],
    [4, operator],
    ...attributes.map((attribute): Field => [5, attribute]),
  )
}

function value(name: string, type: number, shape: (number | string)[]): Uint8Array {
  const dims = shape.map((size): Field => [1, message(typeof size === 'number' ? [1, size] : [2, size])])
  return message([1, name], [2, message([1, message([1, type], [2, message(...dims)])])])
}

type Field = [number, number | string | Uint8Array]

/** A protobuf message: numbers as varints, the rest with its length in front. */
function message(...fields: Field[]): Uint8Array {
  const pieces = fields.flatMap(([field, content]) => {
    if (typeof content === 'number') return [varint(field << 3), varint(content)]
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
    return [varint((field << 3) | 2), varint(bytes.length), bytes]
  })
  return Buffer.concat(pieces)
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return Uint8Array.from([...bytes, left])
    bytes.push((left % 128) | 128)
  }
}
