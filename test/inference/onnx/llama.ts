import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { modelFiles, sealModel, writeModelFolder } from '../markov.js'
import { integer, integers, microsoftNode, model, node, tensor, types, value } from './proto.js'

/** The sizes of a Llama-type decoder: RMSNorm, rotary positions, SwiGLU, tied embeddings; as many key heads as query heads. */
export interface LlamaShape {
  layers: number
  hidden: number
  heads: number
  ffn: number
  vocabulary: number
  context: number
}

export type LlamaForm = 'rows' | 'whole' | 'grouped' | 'grouped-otherwise' | 'hybrid'

export interface LlamaOptions {
  /** A token whose embedding is not a number, so that no key or value behind it is one. */
  poison?: number
  /** What is carried along, and the logits, are float16, as in exports of so many bits. */
  halves?: boolean
}

/** Writes the folder of such a decoder with random weights. What it says has no meaning, and depends on every token before; it never ends. */
export async function llamaModel(
  shape: LlamaShape,
  form: LlamaForm,
  into?: string,
  more: LlamaOptions = {},
): Promise<string> {
  const { layers, hidden, heads, ffn, vocabulary, context } = shape
  const sizes = {
    ...{ model_type: 'llama', hidden_size: hidden, intermediate_size: ffn, vocab_size: vocabulary },
    ...{
      num_hidden_layers: layers,
      num_attention_heads: heads,
      num_key_value_heads: heads,
      max_position_embeddings: context,
    },
    eos_token_id: null,
    ...(form === 'hybrid'
      ? { layers_block_type: Array.from({ length: layers }, (_, i) => (i % 2 === 1 ? 'mamba' : 'attention')) }
      : {}),
  }
  const folder = await writeModelFolder(llamaGraph(shape, form, more), sizes, {}, into)
  const [tokenizer, config] = [join(folder, 'tokenizer.json'), join(folder, 'tokenizer_config.json')]
  const { model: bytes, ...rest } = JSON.parse(await readFile(tokenizer, 'utf8'))
  const vocab = { ...bytes.vocab, ...moreWords(vocabulary) }
  await writeFile(tokenizer, JSON.stringify({ ...rest, model: { ...bytes, vocab } }))
  await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, 'utf8')), chat_template: template }))
  await sealModel(folder, modelFiles)
  return folder
}

const template = "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content }}{% endfor %}{{ '<|assistant|>' }}"

/** Tokens behind those of the shipped tokenizer, of three letters each. No merge leads to them: they are written, never read. */
function moreWords(vocabulary: number): Record<string, number> {
  const letter = (of: number): string => String.fromCharCode(97 + (of % 26))
  const words = Array.from({ length: Math.max(0, vocabulary - 262) }, (_, i) => [
    letter(Math.floor(i / 676)) + letter(Math.floor(i / 26)) + letter(i),
    262 + i,
  ])
  return Object.fromEntries(words)
}

/**
 * The graph of such a decoder with random weights.
 *
 * 'rows': takes the caches and gives the new rows alone, as the shipped model does. 'whole': gives the caches with the new rows behind them, with an attention mask
 * and positions, as exports of the Hugging Face hub do. 'grouped': the same by onnxruntime's operator GroupQueryAttention, as optimised exports do; the mask is only
 * counted; 'grouped-otherwise': it is measured, as if all of it let through.
 * 'hybrid': every other layer of 'whole' carries a state along instead of keys and values, a short convolution and a decaying sum, by the names of `nemotron_h` exports.
 */
export function llamaGraph(
  shape: LlamaShape,
  kind: LlamaForm,
  { poison, halves = false }: LlamaOptions = {},
): Uint8Array {
  const form = kind === 'grouped-otherwise' ? 'grouped' : kind === 'hybrid' ? 'whole' : kind
  const isRecurrent = (layer: number): boolean => kind === 'hybrid' && layer % 2 === 1
  const { layers, hidden, heads, ffn, vocabulary, context } = shape
  const dim = hidden / heads
  const nodes: Uint8Array[] = []
  const constants = new Map<string, Uint8Array>()
  const random = uniform(1)

  const many = (kind: string, inputs: string[], outputs: string[], ...attributes: Uint8Array[]): string[] => {
    nodes.push(node(kind, inputs, outputs, ...attributes))
    return outputs
  }
  const op = (kind: string, inputs: string[], ...attributes: Uint8Array[]): string => {
    const output = `${kind}_${nodes.length}`
    many(kind, inputs, [output], ...attributes)
    return output
  }
  const constant = (name: string, dims: number[], content: () => Float32Array | BigInt64Array): string => {
    if (!constants.has(name)) constants.set(name, tensor(name, dims, content()))
    return name
  }
  const ints = (...values: number[]): string =>
    constant(`ints_${values}`, [values.length], () => BigInt64Array.from(values, BigInt))
  const int = (of: number): string => constant(`int_${of}`, [], () => BigInt64Array.of(BigInt(of)))
  const float = (name: string, of: number): string => constant(name, [], () => Float32Array.of(of))
  const weight = (name: string, rows: number, columns: number, scale: number): string =>
    constant(name, [rows, columns], () => Float32Array.from({ length: rows * columns }, () => random() * scale))
  const size = (of: string, axis: number): string => op('Gather', [op('Shape', [of]), int(axis)])
  const unsqueeze = (of: string, ...axes: number[]): string => op('Unsqueeze', [of, ints(...axes)])
  const split = (of: string, sizes: string, count: number, axis: number): string[] =>
    many(
      'Split',
      [of, sizes],
      Array.from({ length: count }, (_, i) => `split_${nodes.length}_${i}`),
      integer('axis', axis),
    )

  const number = halves ? types.float16 : types.float
  const wider = (of: string): string => (halves ? op('Cast', [of], integer('to', types.float)) : of)
  /** Gives it out under a name; what is gone on with has lost what was given out without. */
  const given = (of: string, name: string): string => {
    many(halves ? 'Cast' : 'Identity', [of], [name], ...(halves ? [integer('to', number)] : []))
    return wider(name)
  }

  const seen = float('seen', 0)
  const hiddenScore = float('hidden_score', -1e9)
  const length = size('input_ids', 1)
  const past = size('past_key_values.0.key', 2)
  const rows = op('Range', [int(0), length, int(1)])
  const before = op('Range', [int(0), past, int(1)])
  const causal = op('LessOrEqual', [unsqueeze(rows, 0), unsqueeze(rows, 1)])
  const newBias = op('Where', [causal, seen, hiddenScore])
  const both = op('Concat', [unsqueeze(past, 0), unsqueeze(length, 0)], integer('axis', 0))
  let positions = 'position_ids'
  let pastBias: string
  if (form === 'grouped') pastBias = ''
  else if (form === 'rows') {
    const places = op('Add', [unsqueeze('past_lengths', 1), rows])
    positions = op('Min', [places, int(context - 1)])
    pastBias = op('Where', [op('Less', [before, unsqueeze('past_lengths', 1, 2, 3)]), seen, hiddenScore])
  } else {
    const [earlier = ''] = split('attention_mask', both, 2, 1)
    pastBias = op('Where', [unsqueeze(op('Cast', [earlier], integer('to', 9)), 1, 2), seen, hiddenScore])
  }
  const table = (name: string, of: (angle: number) => number): string =>
    constant(name, [context, dim / 2], () => {
      const half = dim / 2
      return Float32Array.from({ length: context * half }, (_, i) =>
        of(Math.floor(i / half) * 10_000 ** -((i % half) / half)),
      )
    })
  const [cosines, sines] = [table('cos', Math.cos), table('sin', Math.sin)]
  const at = (angles: string): string => (form === 'grouped' ? '' : unsqueeze(op('Gather', [angles, positions]), 1))
  const [cos, sin] = [at(cosines), at(sines)]
  const int32 = integer('to', types.int32)
  const counted = (): [string, string] => [
    op(
      'Cast',
      [
        kind === 'grouped-otherwise'
          ? op('Sub', [op('Expand', [size('attention_mask', 1), unsqueeze(size('attention_mask', 0), 0)]), int(1)])
          : op('Sub', [op('ReduceSum', ['attention_mask', ints(1)], integer('keepdims', 0)), int(1)]),
      ],
      int32,
    ),
    op('Cast', [size('attention_mask', 1)], int32),
  ]
  const [seqlens, total] = form === 'grouped' ? counted() : ['', '']
  const rotate = (x: string): string => {
    const [left = '', right = ''] = split(x, ints(dim / 2, dim / 2), 2, -1)
    const turn = (a: string, b: string, combine: string): string =>
      op(combine, [op('Mul', [a, cos]), op('Mul', [b, sin])])
    return op('Concat', [turn(left, right, 'Sub'), turn(right, left, 'Add')], integer('axis', -1))
  }
  const byHead = (x: string): string =>
    op('Transpose', [op('Reshape', [x, ints(0, 0, heads, dim)])], integers('perm', [0, 2, 1, 3]))
  const norm = (x: string): string => {
    const mean = op('ReduceMean', [op('Mul', [x, x])], integers('axes', [-1]), integer('keepdims', 1))
    return op('Div', [x, op('Sqrt', [op('Add', [mean, float('epsilon', 1e-5)])])])
  }

  const flipped = (of: string): string => op('Transpose', [of], integers('perm', [0, 2, 1]))
  const end = ints(2 ** 31)
  const recurrence = (i: number, input: string): string => {
    const fed = flipped(op('MatMul', [input, weight(`${i}.in`, hidden, hidden, wide)]))
    const window = op('Concat', [wider(`past_conv.${i}`), fed], integer('axis', 2))
    given(op('Slice', [window, ints(-3), end, ints(2)]), `present_conv.${i}`)
    const filter = constant(`${i}.filter`, [hidden, 1, 4], () => Float32Array.from({ length: hidden * 4 }, random))
    const mixed = flipped(op('Conv', [window, filter], integer('group', hidden)))
    const decay = float('decay', 0.9)
    const powers = (of: string): string => op('Pow', [decay, op('Cast', [of], integer('to', types.float))])
    const apart = op('Sub', [unsqueeze(rows, 1), unsqueeze(rows, 0)])
    const shares = op('Where', [causal, powers(apart), seen])
    const faded = op('Mul', [powers(unsqueeze(op('Add', [rows, int(1)]), 1)), flipped(wider(`past_ssm.${i}`))])
    const sums = op('Add', [op('MatMul', [shares, mixed]), faded])
    given(flipped(op('Slice', [sums, ints(-1), end, ints(1)])), `present_ssm.${i}`)
    return op('MatMul', [sums, weight(`${i}.out`, hidden, hidden, wide)])
  }

  // Scaled so that what a layer adds is of the size of what it reads.
  const wide = Math.sqrt(3 / hidden)
  const scale = float('scale', dim ** -0.5)
  const transposed = (k: string): string => op('Transpose', [k], integers('perm', [0, 1, 3, 2]))
  const embedding = constant('embedding', [vocabulary, hidden], () =>
    Float32Array.from({ length: vocabulary * hidden }, (_, i) =>
      Math.floor(i / hidden) === poison ? Number.NaN : random(),
    ),
  )
  let x = op('Gather', [embedding, 'input_ids'])
  for (let i = 0; i < layers; i++) {
    if (isRecurrent(i)) {
      x = op('Add', [x, recurrence(i, norm(x))])
      continue
    }
    const qkv = op('MatMul', [norm(x), weight(`${i}.qkv`, hidden, 3 * hidden, wide)])
    const [q = '', k = '', v = ''] = split(qkv, ints(hidden, hidden, hidden), 3, -1)
    const grouped = (): string => {
      const read = `attention_${i}`
      const narrow = (of: string): string => (halves ? op('Cast', [of], integer('to', number)) : of)
      const [pastKey, pastValue] = [`past_key_values.${i}.key`, `past_key_values.${i}.value`]
      nodes.push(
        microsoftNode(
          'GroupQueryAttention',
          [...[q, k, v].map(narrow), pastKey, pastValue, seqlens, total, narrow(cosines), narrow(sines)],
          [read, `present.${i}.key`, `present.${i}.value`],
          ...[integer('num_heads', heads), integer('kv_num_heads', heads), integer('do_rotary', 1)],
        ),
      )
      return wider(read)
    }
    const attended = (): string => {
      const query = op('Mul', [rotate(byHead(q)), scale])
      const [pastKey, pastValue] = [`past_key_values.${i}.key`, `past_key_values.${i}.value`]
      const [newKey, newValue] = form === 'rows' ? [`new.${i}.key`, `new.${i}.value`] : [`k_${i}`, `v_${i}`]
      const [key, keptValue] = [given(rotate(byHead(k)), newKey), given(byHead(v), newValue)]
      if (form === 'whole') {
        many('Concat', [pastKey, newKey], [`present.${i}.key`], integer('axis', 2))
        many('Concat', [pastValue, newValue], [`present.${i}.value`], integer('axis', 2))
      }
      const earlier = op('Add', [op('MatMul', [query, transposed(wider(pastKey))]), pastBias])
      const recent = op('Add', [op('MatMul', [query, transposed(key)]), newBias])
      const shares = op('Softmax', [op('Concat', [earlier, recent], integer('axis', -1))], integer('axis', -1))
      const [pastShare = '', newShare = ''] = split(shares, both, 2, -1)
      const read = op('Add', [op('MatMul', [pastShare, wider(pastValue)]), op('MatMul', [newShare, keptValue])])
      return op('Reshape', [op('Transpose', [read], integers('perm', [0, 2, 1, 3])), ints(0, 0, hidden)])
    }
    const joined = form === 'grouped' ? grouped() : attended()
    x = op('Add', [x, op('MatMul', [joined, weight(`${i}.o`, hidden, hidden, wide)])])
    const [gate = '', up = ''] = split(
      op('MatMul', [norm(x), weight(`${i}.gate_up`, hidden, 2 * ffn, wide)]),
      ints(ffn, ffn),
      2,
      -1,
    )
    const active = op('Mul', [op('Mul', [gate, op('Sigmoid', [gate])]), up])
    x = op('Add', [x, op('MatMul', [active, weight(`${i}.down`, ffn, hidden, Math.sqrt(3 / ffn))])])
  }
  let states = norm(x)
  if (form === 'rows') {
    const at = unsqueeze('last_rows', 1)
    states = op('GatherND', [states, at], integer('batch_dims', 1))
  }
  const head = constant('head', [hidden, vocabulary], () =>
    Float32Array.from({ length: hidden * vocabulary }, () => random() * wide * 3),
  )
  given(op('MatMul', [states, head]), 'logits')

  const caches = (prefix: string, length: string): Uint8Array[] =>
    Array.from({ length: layers }, (_, i) =>
      isRecurrent(i)
        ? []
        : ['key', 'value'].map((part) => value(`${prefix}.${i}.${part}`, number, ['batch', heads, length, dim])),
    ).flat()
  const asked =
    form === 'rows'
      ? [value('past_lengths', types.int64, ['batch']), value('last_rows', types.int64, ['batch'])]
      : [
          value('attention_mask', types.int64, ['batch', 'total']),
          ...(form === 'grouped' ? [] : [value('position_ids', types.int64, ['batch', 'sequence'])]),
        ]
  const carried = (prefix: string): Uint8Array[] =>
    Array.from({ length: layers }, (_, i) => i)
      .filter(isRecurrent)
      .flatMap((i) => [
        value(`${prefix}_conv.${i}`, number, ['batch', hidden, 3]),
        value(`${prefix}_ssm.${i}`, number, ['batch', hidden, 1]),
      ])
  return model({
    nodes,
    constants: [...constants.values()],
    inputs: [
      value('input_ids', types.int64, ['batch', 'sequence']),
      ...asked,
      ...caches('past_key_values', 'past'),
      ...carried('past'),
    ],
    outputs:
      form === 'rows'
        ? [value('logits', number, ['batch', vocabulary]), ...caches('new', 'sequence')]
        : [
            value('logits', number, ['batch', 'sequence', vocabulary]),
            ...caches('present', 'total'),
            ...carried('present'),
          ],
  })
}

/** Numbers spread evenly over [-1, 1): Marsaglia's xorshift, since a hundred million are drawn. */
function uniform(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state / 0x8000_0000
  }
}
