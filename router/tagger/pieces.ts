/** The tagger that ships: a small network over pieces of words, joined with "capitalised and not in the dictionary". */
import { gunzipSync } from 'node:zlib'
import { type InferenceSession, Tensor } from 'onnxruntime-node'
import { type Adapter, openSession } from './adapter.js'
import { Dictionary } from './dictionary.js'
import type { TaggerFolder } from './folder.js'
import { Seen } from './seen.js'
import { type Tag, type TagKind, tagKinds } from './tagger.js'
import { facts, pieces, type Token, tokensOf } from './token.js'
import { Vocabulary } from './vocabulary.js'

/** The network sees so many tokens to each side, so that a text may be cut there without a difference. */
const sight = 14
const window = 1024
/** How certain it must be of a plain word by itself, and of several together. */
const certainOfPlain = [0.97, 0.8] as const
const columns = 1 + tagKinds.length
/** Small words that no name begins or ends with; a street may. */
const small = new Set(
  'a an the and or of in on at to for by with from as is was were be been are it he she they we you i my your his her our their this that der die das den dem des ein eine einen einem und oder ist war im in am an auf aus bei mit nach von zu zum zur um wie wer was ich du er sie es wir ihr mein dein sein nur nicht auch'.split(
    ' ',
  ),
)

export async function openPieces({ config, bytes }: TaggerFolder): Promise<Adapter> {
  const dictionary = new Dictionary(gunzipSync(bytes('words.txt.gz')).toString('utf8').split('\n'))
  const session = await openSession(bytes('model.onnx'))
  const network = new Network(session, dictionary)
  return {
    tag: async (text) => {
      const tokens = tokensOf(text)
      const shares = await network.sharesOf(text, tokens)
      return joined(tokens, (index) => kindOf(tokens, index, shares, dictionary, config.threshold))
    },
  }
}

class Network {
  readonly #session: InferenceSession
  readonly #vocabulary: Vocabulary
  readonly #seen = new Seen(sight, columns)

  constructor(session: InferenceSession, dictionary: Dictionary) {
    this.#session = session
    this.#vocabulary = new Vocabulary(dictionary)
  }

  /** How likely each token is of each kind, the first of which is none: [tokens, 4]. */
  async sharesOf(text: string, tokens: readonly Token[]): Promise<Float32Array> {
    if (this.#vocabulary.renew()) this.#seen.forget()
    const numbers = this.#vocabulary.numbersOf(text, tokens)
    const places = this.#seen.find(numbers)
    const shares = new Float32Array(tokens.length * columns)
    for (const [index, place] of places.entries())
      if (place >= 0) shares.set(this.#seen.sharesAt(place), index * columns)
    for (const [start, end] of unseenIn(places)) {
      const [from, to] = [Math.max(0, start - sight), Math.min(tokens.length, end + sight)]
      const { spelling, looks } = this.#vocabulary.featuresOf(text, tokens, numbers, from, to)
      const { kinds } = await this.#session.run({
        spelling: new Tensor('int32', spelling, [to - from, pieces]),
        looks: new Tensor('float32', looks, [to - from, facts]),
      })
      const found = kinds?.data as Float32Array
      shares.set(found.subarray((start - from) * columns, (end - from) * columns), start * columns)
    }
    this.#seen.add(numbers, shares)
    return shares
  }
}

/** Runs of tokens that were not seen so before, each no longer than the window. Between two that are near one another all is looked at: it would be seen anyway. */
function unseenIn(places: Int32Array): [start: number, end: number][] {
  const runs: [number, number][] = []
  for (const [index, place] of places.entries()) {
    if (place >= 0) continue
    const last = runs.at(-1)
    if (last && index - last[1] <= 2 * sight && index + 1 - last[0] <= window) last[1] = index + 1
    else runs.push([index, index + 1])
  }
  return runs
}

/** How certain each kind is, or undefined for a token that is of none. */
type Certainty = { readonly each: readonly number[]; readonly weak: number | undefined } | undefined

function kindOf(
  tokens: readonly Token[],
  index: number,
  shares: Float32Array,
  dictionary: Dictionary,
  threshold: number,
): Certainty {
  const { text } = tokens[index] as Token
  const none = shares[index * columns] as number
  const isSeen = 1 - none >= threshold
  // Most tokens are neither seen by the network nor strange to the dictionary.
  if (!isSeen && !isStrange(text, dictionary)) return undefined
  const each = [...shares.subarray(index * columns + 1, (index + 1) * columns)]
  if (!isSeen)
    return { each: each.map((share, kind) => (kind === 0 ? Math.max(share, threshold) : share)), weak: undefined }
  // A plain word in small letters is one, unless much speaks for the contrary.
  const isPlain = /^[a-z]+$/.test(text) && dictionary.has(text)
  return { each, weak: isPlain ? 1 - none : undefined }
}

/** Capitalised and not in the dictionary. */
function isStrange(word: string, dictionary: Dictionary): boolean {
  if (!/^(?:Mc|Mac|[DO]')?[A-Z][a-z\u0080-\uffff]+(?:'[a-z]+)?$/.test(word)) return false
  const lower = word.toLowerCase().replace(/'s?$/, '')
  return !dictionary.has(lower) && !dictionary.composes(lower)
}

const likeliest = (certainty: readonly number[]): number => certainty.indexOf(Math.max(...certainty))
const inner = /^[-.&/'+]$/

/** Tokens side by side become one tag, of the kind that is likeliest for all of them together. */
function joined(tokens: readonly Token[], certaintyOf: (index: number) => Certainty): Tag[] {
  const found: Tag[] = []
  let sums: number[] | undefined
  let [first, last] = [0, 0]
  let isParted = false
  let weak: (number | undefined)[] = []
  const close = (): void => {
    if (sums && isSure(weak)) found.push(...trimmed(tokens, tagKinds[likeliest(sums)] ?? 'name', first, last))
    sums = undefined
    weak = []
  }
  for (const [index, token] of tokens.entries()) {
    const certainty = certaintyOf(index)
    const isSign = !/^[A-Za-z0-9\u0080-\uffff]/.test(token.text)
    // A sign is a part of what stands on both sides of it, and never the end.
    if (isSign && (token.text.startsWith('\n') || (certainty === undefined && !inner.test(token.text)))) close()
    if (isSign) {
      isParted ||= !inner.test(token.text)
      continue
    }
    // A company and its street have a comma between them, and so have a street and its town.
    if (sums && certainty && isParted && likeliest(sums) !== likeliest(certainty.each)) close()
    isParted = false
    if (certainty === undefined) {
      close()
      continue
    }
    if (sums) {
      sums = sums.map((sum, kind) => sum + (certainty.each[kind] ?? 0))
      last = index
    } else {
      sums = [...certainty.each]
      ;[first, last] = [index, index]
    }
    weak.push(certainty.weak)
  }
  close()
  return found
}

/** Plain words alone are a name only where the network is sure of it. */
function isSure(weak: readonly (number | undefined)[]): boolean {
  if (weak.some((each) => each === undefined)) return true
  const mean = weak.reduce((sum: number, each) => sum + (each ?? 0), 0) / weak.length
  return mean >= certainOfPlain[weak.length === 1 ? 0 : 1]
}

function trimmed(tokens: readonly Token[], kind: TagKind, first: number, last: number): Tag[] {
  const isSmall = (index: number): boolean => kind !== 'address' && small.has(tokens[index]?.text ?? '')
  let [from, to] = [first, last]
  while (from <= to && isSmall(from)) from += 1
  while (to > from && isSmall(to)) to -= 1
  const [start, end] = [tokens[from]?.start, tokens[to]?.end]
  return from > to || start === undefined || end === undefined ? [] : [{ kind, start, end }]
}
