import { ClawmeshError } from '../../policies/errors.js'
import type { GenerateEvent, GenerateRequest } from '../backend.js'
import { AnswerReader } from '../chat/answer.js'
import { type CallState, openCall } from '../constrain/automaton.js'
import { ruleOf } from '../constrain/rule.js'
import { lastUserText, spansOf } from '../constrain/span.js'
import { Vocabulary } from '../constrain/vocabulary.js'
import type { OpenedModel } from '../models.js'
import { type ModelConfig, readConfig } from './config.js'
import { Text, TextStream } from './text.js'

/** What the answers of one loaded model share. */
export interface Loaded {
  config: ModelConfig
  text: Text
  vocabulary: Vocabulary
  /** The tokens that a text is made of: no special one but those that end it and those that mark thoughts and calls. */
  words: Int32Array
}

/** From config.json, tokenizer.json and tokenizer_config.json. Throws MODEL_BROKEN. */
export function readLoaded(model: OpenedModel): Loaded {
  const config = readConfig(model)
  const text = new Text(model)
  const { vocabulary: size, ends } = config.shape
  const vocabulary = Vocabulary.byteLevel(size, (id) => text.spelling(id), text.special)
  const special = new Set(text.special.values())
  const words = Int32Array.from({ length: size }, (_, id) => id).filter(
    (id) => ends.includes(id) || text.marks.has(id) || (!special.has(id) && text.spelling(id) !== undefined),
  )
  return { config, text, vocabulary, words }
}

/** Tokens, by their ids. */
export type Tokens = readonly number[] | Int32Array

/** What an answer says before it says that it is done. */
export type Written = Exclude<GenerateEvent, { type: 'done' }>

/** What decides the next token of an answer, and what becomes of it. */
export interface Writer {
  /** The tokens that may come next; of one alone the graph is not asked. */
  allowed(): Tokens
  /** Takes a token; says why the answer ends with it, if it does. */
  take(token: number): 'stop' | 'call' | undefined
  /** The room is used up. Throws if what is written so far is no answer. */
  cut(): void
}

/** Text until one of the model's end tokens, with thoughts and calls told apart. No special token is written but those that mark them. */
export function textWriter(
  { config, text, words }: Loaded,
  { tools, thoughtTokens = Number.POSITIVE_INFINITY }: GenerateRequest,
  thinking: boolean,
  emit: (event: Written) => void,
): Writer {
  const { ends } = config.shape
  const stream = new TextStream(text)
  const reader = new AnswerReader({ tools, thinking })
  const closing = text.encode('</think>')
  let calls = 0
  let thought = 0
  let closed = 0
  /** Of a thought that has used up its tokens, the next one of the mark that ends it. */
  const due = (): number | undefined => (reader.isThinking && thought >= thoughtTokens ? closing[closed] : undefined)
  const give = (parts: Written[]): void => {
    for (const part of parts) {
      if (part.type === 'call') calls++
      emit(part)
    }
  }
  return {
    allowed: () => {
      const next = due()
      return next === undefined ? words : [next]
    },
    take: (token) => {
      if (due() !== undefined) closed++
      else if (reader.isThinking) thought++
      const isEnd = ends.includes(token)
      const mark = text.marks.get(token)
      give(reader.push(isEnd || mark !== undefined ? stream.flush() + (mark ?? '') : stream.push(token)))
      if (!isEnd) return undefined
      give(reader.end())
      return calls > 0 ? 'call' : 'stop'
    },
    cut: () => {
      give(reader.push(stream.flush()))
      give(reader.end())
    },
  }
}

/** A call of one of the offered tools, and nothing else. */
export function callWriter(loaded: Loaded, request: GenerateRequest, emit: (event: Written) => void): Writer {
  const { config, vocabulary } = loaded
  if (config.calls !== 'compact' || !vocabulary.writesCalls)
    throw new ClawmeshError('MODEL_UNSUITED', `${config.info.name} writes tool calls in a way that is not read here.`, {
      hint: 'Ask it without tools, or use a model with the compact call format.',
    })
  let state: CallState = openCall((request.tools ?? []).map(ruleOf), spansOf(lastUserText(request.messages)))
  return {
    allowed: () => vocabulary.allowed(state),
    take: (token) => {
      state = vocabulary.advance(state, token)
      if (!state.call) return undefined
      emit({ type: 'call', call: state.call })
      return 'call'
    },
    cut: () => {
      throw new ClawmeshError('MODEL_FAILED', 'The tool call did not come to its end within the tokens it was given.', {
        hint: 'Raise maxTokens, or shorten the request.',
        data: { unusable: true },
      })
    },
  }
}
