import { createHash } from 'node:crypto'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { shippedModelFolder } from '../../inference/models.js'
import { temporaryFolder } from './folder.js'
import { integer, model, node, outsideTensor, tensor, types, value } from './onnx/proto.js'

/** Ids of the shipped tokenizer, which these models share: a byte is its own id. */
export const ids = { assistant: 258, call: 259, end: 260, size: 262 } as const

/**
 * Writes the folder of a real ONNX model that is a Markov chain: a table says which token follows which, and a cache is carried
 * along as a decoder's is. Its answers are known in advance, and it can be made never to end. `ballast`: so many numbers more that are loaded and change nothing.
 */
export function markovModel(next: (token: number) => number, context = 1_000_000, ballast = 0): Promise<string> {
  return writeModel(graphOf(next, ids.size, 'input_ids', ballast), { tool_call_format: 'compact' }, context)
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

export const modelFiles = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.onnx']

function writeModel(graph: Uint8Array, clawmesh: object, context: number): Promise<string> {
  const sizes = { hidden_size: 1, num_hidden_layers: 1, num_attention_heads: 1, vocab_size: ids.size }
  return writeModelFolder(
    graph,
    { model_type: 'markov', ...sizes, max_position_embeddings: context },
    { name: 'markov', ...clawmesh },
  )
}

/** The same with its table in a file of its own, as graphs above two gigabytes have their weights. */
export async function outsideModel(next: (token: number) => number): Promise<string> {
  const folder = await writeModel(graphOf(next, ids.size, 'input_ids', 0, 'model_q4.onnx_data'), {}, 4096)
  await mkdir(join(folder, 'onnx'))
  await writeFile(join(folder, 'onnx', 'model_q4.onnx_data'), Buffer.from(tableOf(next, ids.size).buffer))
  await sealModel(folder, [...modelFiles, 'onnx/model_q4.onnx_data'])
  return folder
}

/** A folder with a graph and the tokenizer of the shipped model. */
export async function writeModelFolder(
  graph: Uint8Array,
  sizes: object,
  clawmesh: object,
  into?: string,
): Promise<string> {
  const folder = into ?? (await temporaryFolder())
  for (const file of ['tokenizer.json', 'tokenizer_config.json'])
    await cp(join(shippedModelFolder, file), join(folder, file))
  const config = { eos_token_id: ids.end, ...sizes, clawmesh: { name: 'made for a test', ...clawmesh } }
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

function tableOf(next: (token: number) => number, rows: number): Float32Array {
  const table = new Float32Array(rows * ids.size)
  for (let token = 0; token < rows; token++) table[token * ids.size + next(token)] = 10
  return table
}

function graphOf(
  next: (token: number) => number,
  rows: number = ids.size,
  by: 'input_ids' | 'position_ids' = 'input_ids',
  ballast = 0,
  outside: string | undefined = undefined,
): Uint8Array {
  const table = tableOf(next, rows)
  const cache = (name: string): Uint8Array => value(name, types.float, [1, 1, 'length', 1])
  const grown = (part: string): Uint8Array =>
    node('Concat', [`past_key_values.0.${part}`, 'row'], [`present.0.${part}`], integer('axis', 2))
  return model({
    nodes: [
      ...(ballast > 0
        ? [node('Gather', ['ballast', by], ['nothing']), node('Gather', ['table', by], ['plain'])]
        : [node('Gather', ['table', by], ['logits'])]),
      ...(ballast > 0
        ? [node('Unsqueeze', ['nothing', 'last'], ['column']), node('Add', ['plain', 'column'], ['logits'])]
        : []),
      node('Cast', ['input_ids'], ['numbers'], integer('to', types.float)),
      node('Reshape', ['numbers', 'shape'], ['row']),
      grown('key'),
      grown('value'),
    ],
    constants: [
      outside === undefined
        ? tensor('table', [rows, ids.size], table)
        : outsideTensor('table', [rows, ids.size], outside),
      tensor('shape', [4], BigInt64Array.of(1n, 1n, -1n, 1n)),
      ...(ballast > 0
        ? [tensor('ballast', [ballast], new Float32Array(ballast)), tensor('last', [1], BigInt64Array.of(-1n))]
        : []),
    ],
    inputs: [
      value('input_ids', types.int64, [1, 'tokens']),
      ...(by === 'position_ids' ? [value(by, types.int64, [1, 'tokens'])] : []),
      cache('past_key_values.0.key'),
      cache('past_key_values.0.value'),
    ],
    outputs: [value('logits', types.float, [1, 'tokens', ids.size]), cache('present.0.key'), cache('present.0.value')],
  })
}
