import { Template } from '@huggingface/jinja'
import { Tokenizer } from '@huggingface/tokenizers'
import type { ChatMessage } from '../backend.js'
import { callMarks } from '../chat/call.js'
import { type Reasoning, reasoningOf, withReasoning } from '../chat/reasoning.js'
import { broken, isRecord, type OpenedModel } from '../models.js'
import type { ToolSpec } from '../tool.js'

/** The way from messages to tokens and back: tokenizer.json and the chat template of tokenizer_config.json. */
export class Text {
  private readonly tokenizer: Tokenizer
  /** Knows no special token: what a person typed never turns into a mark of the conversation. */
  private readonly plain: Tokenizer
  private readonly template: Template
  private readonly variables: Record<string, string>
  readonly special: ReadonlyMap<string, number>
  /** Special tokens that a model writes to set thoughts and calls apart. */
  readonly marks: ReadonlyMap<number, string>
  /** The template shows tools to the model. */
  readonly takesTools: boolean
  private readonly reasoning: Reasoning

  /** Throws MODEL_BROKEN. */
  constructor(model: OpenedModel) {
    const config = model.json('tokenizer_config.json')
    const json = model.json('tokenizer.json')
    const template = isRecord(config) ? config.chat_template : undefined
    if (!isRecord(config) || !isRecord(json) || typeof template !== 'string')
      throw broken(model.folder, 'tokenizer_config.json', 'it has no chat_template')
    try {
      this.tokenizer = new Tokenizer(json, config)
      this.plain = new Tokenizer({ ...json, added_tokens: [] }, config)
      this.template = new Template(template)
    } catch (cause) {
      throw broken(model.folder, 'tokenizer.json', 'the tokenizer or the chat template is not understood', cause)
    }
    const added = [...this.tokenizer.get_added_tokens_decoder()]
    this.special = new Map(added.map(([id, { content }]) => [content, id]))
    this.marks = new Map(
      [...this.special].flatMap(([content, id]) => (answerMarks.has(content) ? [[id, content] as const] : [])),
    )
    this.takesTools = /\btools\b/.test(template)
    this.reasoning = reasoningOf(template)
    this.variables = Object.fromEntries(
      ['bos_token', 'eos_token', 'pad_token'].map((name) => [name, contentOf(config[name])]),
    )
  }

  /**
   * The prompt's token ids. `mark` is written behind the template, to begin the answer with. A message that spells a special
   * token reaches the template as a placeholder and is put in afterwards, as plain text.
   */
  prompt(messages: readonly ChatMessage[], mark = ''): number[] {
    return this.conversation({ messages }, mark).ids
  }

  /** `thinking`: the prompt ends inside a thought. */
  conversation(
    asked: {
      messages: readonly ChatMessage[]
      tools?: readonly ToolSpec[] | undefined
      thinking?: boolean | undefined
    },
    mark = '',
  ): { ids: number[]; thinking: boolean } {
    const { messages, variables } = withReasoning(asked.messages, this.reasoning, asked.thinking)
    const shown = messages.map((message, i) =>
      this.isDangerous(message.content) ? { ...message, content: placeholder(i) } : message,
    )
    const given = { ...this.variables, ...variables, messages: shown, add_generation_prompt: true }
    // Templates look for the shape of the OpenAI API.
    const tools = asked.tools?.map((tool) => ({ type: 'function', function: tool }))
    const rendered = this.template.render(tools ? { ...given, tools } : given) + mark
    // Split by a pattern with a group, every other piece is what the group captured: the index of a message.
    const ids = rendered.split(placeholders).flatMap((piece, i) => {
      const tokenizer = i % 2 === 1 ? this.plain : this.tokenizer
      const content = i % 2 === 1 ? (messages[Number(piece)]?.content ?? '') : piece
      return content === '' ? [] : idsOf(tokenizer, content)
    })
    return { ids, thinking: /<think>\s*$/.test(rendered) }
  }

  private isDangerous(content: string): boolean {
    return placeholders.test(content) || [...this.special.keys()].some((token) => content.includes(token))
  }

  /** Marks and all, as a model would write it. */
  encode(content: string): number[] {
    return idsOf(this.tokenizer, content)
  }

  decode(ids: readonly number[]): string {
    if (ids.length === 0) return ''
    return this.tokenizer.decode([...ids], { skip_special_tokens: true, clean_up_tokenization_spaces: false })
  }

  /** The vocabulary's own spelling of a token, undefined past its end. */
  spelling(id: number): string | undefined {
    return this.tokenizer.id_to_token(id)
  }
}

const idsOf = (tokenizer: Tokenizer, content: string): number[] =>
  tokenizer.encode(content, { add_special_tokens: false }).ids

const answerMarks = new Set(['<think>', '</think>', ...Object.entries(callMarks).flat()])

// Private-use characters: a template that trims or upper-cases its contents leaves them alone.
const placeholder = (index: number): string => `\u{10fffa}${index}\u{10fffb}`
const placeholders = /\u{10fffa}(\d+)\u{10fffb}/u

function contentOf(token: unknown): string {
  if (typeof token === 'string') return token
  return isRecord(token) && typeof token.content === 'string' ? token.content : ''
}

/** Gives out the text of tokens as they come, holding back the first bytes of a character until its last one is there. */
export class TextStream {
  private readonly text: Text
  private readonly ids: number[] = []
  // Tokens before `from` are given out; decoding begins a little earlier because a token's text can depend on the one before.
  private from = 0
  private settled = 0

  constructor(text: Text) {
    this.text = text
  }

  push(id: number): string {
    this.ids.push(id)
    const before = this.text.decode(this.ids.slice(this.from, this.settled))
    const now = this.text.decode(this.ids.slice(this.from))
    if (now.length <= before.length) return ''
    // No character has more than four bytes: what is longer without an end has none.
    if (now.endsWith('\u{fffd}') && this.ids.length - this.settled < 4) return ''
    this.from = this.settled
    this.settled = this.ids.length
    return now.slice(before.length)
  }

  /** What was held back: the start of a character that never came to its end. */
  flush(): string {
    const before = this.text.decode(this.ids.slice(this.from, this.settled))
    const now = this.text.decode(this.ids.slice(this.from))
    this.from = this.ids.length
    this.settled = this.ids.length
    return now.slice(before.length)
  }
}
