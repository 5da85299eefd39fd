import { InferenceSession, Tensor } from 'onnxruntime-node'
import type { DecoderShape } from './config.js'

/** Keys and values of all tokens so far, layer by layer, as the graph gave them. */
export interface Cache {
  length: number
  tensors: Readonly<Record<string, Tensor>>
}

export interface Run {
  /** One number for each token of the vocabulary, for the place behind the last token fed. */
  logits: Float32Array
  cache: Cache
}

/** A decoder graph with a key-value cache that goes in and comes out (`past_key_values.N.key` → `present.N.key`). */
export class Graph {
  private readonly session: InferenceSession
  private readonly shape: DecoderShape

  private constructor(session: InferenceSession, shape: DecoderShape) {
    this.session = session
    this.shape = shape
  }

  /** Throws what onnxruntime throws for a graph that it cannot load. */
  static async load(model: Uint8Array, shape: DecoderShape, threads: number): Promise<Graph> {
    const session = await InferenceSession.create(model, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      logSeverityLevel: 3,
      // A spinning pool burns a core between two steps, on machines where others wait for it.
      extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
    })
    return new Graph(session, shape)
  }

  empty(): Cache {
    const { layers, kvHeads, headDim } = this.shape
    const names = Array.from({ length: layers }, (_, i) => [`${i}.key`, `${i}.value`]).flat()
    const none = (): Tensor => new Tensor('float32', new Float32Array(0), [1, kvHeads, 0, headDim])
    return { length: 0, tensors: Object.fromEntries(names.map((name) => [name, none()])) }
  }

  /** Feeds tokens behind the cache. Blocks the thread while the graph computes. */
  async run(tokens: readonly number[], cache: Cache): Promise<Run> {
    const length = cache.length + tokens.length
    const available: Record<string, () => Tensor> = {
      input_ids: () => integers(tokens.length, (i) => tokens[i] ?? 0),
      attention_mask: () => integers(length, () => 1),
      position_ids: () => integers(tokens.length, (i) => cache.length + i),
    }
    const feeds: Record<string, Tensor> = {}
    for (const [name, tensor] of Object.entries(cache.tensors)) feeds[`past_key_values.${name}`] = tensor
    for (const name of this.session.inputNames) feeds[name] ??= available[name]?.() ?? unknownInput(name)
    const outputs = await this.session.run(feeds)
    const tensors: Record<string, Tensor> = {}
    for (const name of Object.keys(cache.tensors)) tensors[name] = output(outputs, `present.${name}`)
    return { logits: this.lastRow(output(outputs, 'logits')), cache: { length, tensors } }
  }

  private lastRow(logits: Tensor): Float32Array {
    const { data } = logits
    const { vocabulary } = this.shape
    if (!(data instanceof Float32Array) || data.length < vocabulary || logits.dims.at(-1) !== vocabulary)
      throw new Error(
        `the output logits is ${logits.type}[${logits.dims.join(',')}], expected float32[…,${vocabulary}]`,
      )
    return data.subarray(data.length - vocabulary)
  }
}

function integers(length: number, at: (i: number) => number): Tensor {
  const values = new BigInt64Array(length)
  for (let i = 0; i < length; i++) values[i] = BigInt(at(i))
  return new Tensor('int64', values, [1, length])
}

function output(outputs: InferenceSession.OnnxValueMapType, name: string): Tensor {
  const value = outputs[name]
  if (value instanceof Tensor) return value
  throw new Error(`the graph has no output ${name}`)
}

function unknownInput(name: string): never {
  throw new Error(`the graph wants an input ${name}, which is not known here`)
}
