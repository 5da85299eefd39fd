/**
 * Exports of GLiNER in span mode: the labels that are asked for stand before the words, and the graph rates every span of at most `maxWidth` words for each label.
 *
 *     <<ENT>> person <<ENT>> address <<SEP>> words of the text
 *
 * Inputs `input_ids`, `attention_mask`, `words_mask` [1, s], `text_lengths` [1, 1], `span_idx` [1, n, 2], `span_mask` [1, n]; output `logits` [1, words, width, labels].
 */
import { Tokenizer } from '@huggingface/tokenizers'
import { type InferenceSession, Tensor } from 'onnxruntime-node'
import { type Adapter, openSession } from './adapter.js'
import type { TaggerConfig, TaggerFolder } from './folder.js'
import type { Tag } from './tagger.js'

type GlinerConfig = TaggerConfig & { form: 'gliner-span' }

interface Word {
  readonly text: string
  readonly start: number
  readonly end: number
}

/** As its training split words. */
const word = /[\p{L}\p{N}_]+(?:[-_][\p{L}\p{N}_]+)*|\S/gu

const inputs = ['input_ids', 'attention_mask', 'words_mask', 'text_lengths', 'span_idx', 'span_mask']

export async function openGliner({ bytes }: TaggerFolder, config: GlinerConfig): Promise<Adapter> {
  const json = (file: string) => JSON.parse(bytes(file).toString('utf8'))
  const tokenizer = new Tokenizer(json('tokenizer.json'), json('tokenizer_config.json'))
  const session = await openSession(bytes('model.onnx'))
  const missing = inputs.find((name) => !session.inputNames.includes(name))
  if (missing !== undefined || !session.outputNames.includes('logits'))
    throw new Error(`the graph is no export of GLiNER in span mode: it has no ${missing ?? 'logits'}`)
  const half = Math.floor(config.maxWords / 2)
  return {
    tag: async (text) => {
      const words: Word[] = [...text.matchAll(word)].map(({ 0: each, index }) => ({
        text: each,
        start: index,
        end: index + each.length,
      }))
      const rated: Rated[] = []
      // Windows overlap by half, so that nothing is seen at an edge alone.
      for (let from = 0; from === 0 || from + half < words.length; from += half)
        rated.push(...(await rate(session, tokenizer, config, words.slice(from, from + config.maxWords))))
      return apart(rated)
    },
  }
}

interface Rated extends Tag {
  readonly score: number
}

async function rate(
  session: InferenceSession,
  tokenizer: Tokenizer,
  config: GlinerConfig,
  words: readonly Word[],
): Promise<Rated[]> {
  if (words.length === 0) return []
  const { maxWidth, threshold } = config
  const labels = Object.entries(config.labels)
  const prompt = labels.flatMap(([label]) => [config.entityToken, label]).concat(config.separatorToken)
  const special = (id: string) => {
    const known = tokenizer.token_to_id(id)
    return known === undefined ? [] : [known]
  }
  const ids: number[] = [...special('[CLS]')]
  const places: number[] = ids.map(() => 0)
  for (const [index, each] of [...prompt, ...words.map(({ text }) => text)].entries()) {
    for (const [part, id] of tokenizer.encode(each, { add_special_tokens: false }).ids.entries()) {
      ids.push(id)
      // The first piece of a word carries its number, counted from 1; all else is 0.
      places.push(part === 0 && index >= prompt.length ? index - prompt.length + 1 : 0)
    }
  }
  for (const id of special('[SEP]')) {
    ids.push(id)
    places.push(0)
  }
  const spans = words.flatMap((_, first) => Array.from({ length: maxWidth }, (__, width) => [first, first + width]))
  const isSpan = spans.map(([, last = 0]) => last < words.length)
  const wide = (values: readonly number[], dims: number[]) =>
    new Tensor(
      'int64',
      BigInt64Array.from(values, (value) => BigInt(value)),
      dims,
    )
  const { logits } = await session.run({
    input_ids: wide(ids, [1, ids.length]),
    attention_mask: wide(
      ids.map(() => 1),
      [1, ids.length],
    ),
    words_mask: wide(places, [1, ids.length]),
    text_lengths: wide([words.length], [1, 1]),
    // What reaches behind the last word is masked, and points at the first.
    span_idx: wide(
      spans.flatMap((span, index) => (isSpan[index] ? span : [0, 0])),
      [1, spans.length, 2],
    ),
    span_mask: new Tensor('bool', isSpan, [1, spans.length]),
  })
  const data = logits?.data as Float32Array
  if (data.length !== spans.length * labels.length)
    throw new Error(`the graph gave ${data.length} ratings for ${spans.length * labels.length}`)
  return spans.flatMap(([first = 0, last = 0], index) =>
    labels.flatMap(([, kind], label): Rated[] => {
      const score = 1 / (1 + Math.exp(-(data[index * labels.length + label] ?? Number.NEGATIVE_INFINITY)))
      const [start, end] = [words[first]?.start, words[last]?.end]
      if (!isSpan[index] || start === undefined || end === undefined || !(score >= threshold)) return []
      return [{ kind, start, end, score }]
    }),
  )
}

/** The surest first; what overlaps a surer one is left out. */
function apart(rated: readonly Rated[]): Tag[] {
  const kept: Rated[] = []
  for (const each of rated.toSorted((a, b) => b.score - a.score))
    if (!kept.some(({ start, end }) => start < each.end && each.start < end)) kept.push(each)
  return kept.toSorted((a, b) => a.start - b.start).map(({ kind, start, end }) => ({ kind, start, end }))
}
