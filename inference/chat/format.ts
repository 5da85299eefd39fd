import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Template } from '@huggingface/jinja'
import { installation } from '../../mesh/installation.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { ChatMessage } from '../backend.js'
import type { ToolSpec } from '../tool.js'
import { type Reasoning, reasoningOf, withReasoning } from './reasoning.js'

export interface Conversation {
  messages: readonly ChatMessage[]
  tools?: readonly ToolSpec[] | undefined
  thinking?: boolean | undefined
}

export interface Prompt {
  text: string
  /** The prompt ends inside a thought: what the model writes first is one. */
  thinking: boolean
  /** What ends an answer, for servers that have to be told. */
  stops: readonly string[]
}

/**
 * Our own short templates, for servers that take a prompt and keep their template to themselves. They write the documented form of each family; where a
 * model's own template is at hand it goes first.
 */
const known: Record<string, { marks: RegExp; stops: readonly string[]; reasoning?: Reasoning }> = {
  chatml: { marks: /<\|(im_start|im_end|endoftext)\|>/g, stops: ['<|im_end|>'] },
  'nemotron-3': { marks: /<\|(im_start|im_end|endoftext)\|>/g, stops: ['<|im_end|>'] },
  'nemotron-nano-2': { marks: /<SPECIAL_\d+>/g, stops: ['<SPECIAL_12>'] },
  'llama-nemotron': { marks: /<\|[a-z_]+\|>/g, stops: ['<|eot_id|>'], reasoning: 'detailed' },
  // Of the same form; this generation listens to /think and /no_think.
  'llama-nemotron-1.5': { marks: /<\|[a-z_]+\|>/g, stops: ['<|eot_id|>'], reasoning: 'slash' },
  'nemotron-mini': { marks: /<extra_id_\d+>/g, stops: ['<extra_id_1>'] },
}

export const formatNames: readonly string[] = Object.keys(known)

/** How one family of models is talked to in plain text. */
export class ChatFormat {
  readonly name: string
  readonly reasoning: Reasoning
  private readonly template: Template
  private readonly marks: RegExp
  private readonly stops: readonly string[]

  private constructor(name: string, template: string) {
    const { marks, stops, reasoning } = known[name] ?? unknownFormat(name)
    this.name = name
    this.template = new Template(template)
    this.marks = marks
    this.stops = stops
    this.reasoning = reasoning ?? reasoningOf(template)
  }

  /** One of `formatNames`. Throws USAGE. */
  static async named(name: string): Promise<ChatFormat> {
    if (!Object.hasOwn(known, name)) unknownFormat(name)
    const file = name.startsWith('llama-nemotron') ? 'llama-nemotron' : name
    const folder = join(installation, 'inference', 'chat', 'templates')
    return new ChatFormat(name, (await readFile(join(folder, `${file}.jinja`), 'utf8')).trimEnd())
  }

  prompt({ messages, tools, thinking }: Conversation): Prompt {
    const plain = messages.map((message) => ({ ...message, content: this.defused(message.content) }))
    const { messages: led, variables } = withReasoning(plain, this.reasoning, thinking)
    const shown =
      tools && tools.length > 0
        ? tools.map(({ name, description, parameters }) => ({ name, description, parameters }))
        : null
    const text = this.template.render({ ...variables, messages: led, tools: shown, add_generation_prompt: true })
    return { text, thinking: /<think>\s*$/.test(text), stops: this.stops }
  }

  /** What a person wrote must not become a mark of the conversation: the server's tokenizer cannot tell who wrote it. */
  private defused(content: string): string {
    return content.replace(this.marks, (mark) => `${mark[0]}\u200b${mark.slice(1)}`)
  }
}

/** The format that a model's name gives away; undefined if it gives none away. */
export function formatOf(model: string): string | undefined {
  const name = model.toLowerCase()
  if (/nemotron[-_ ]?(v?3|3[._]\d)\b|nemotron-3/.test(name)) return 'nemotron-3'
  if (/nemotron.*nano.*v2/.test(name)) return 'nemotron-nano-2'
  if (/llama.*nemotron.*v1[._]5/.test(name)) return 'llama-nemotron-1.5'
  if (/llama.*nemotron/.test(name)) return 'llama-nemotron'
  if (/nemotron-mini/.test(name)) return 'nemotron-mini'
  return /qwen|chatml/.test(name) ? 'chatml' : undefined
}

function unknownFormat(name: string): never {
  throw new ClawmeshError('USAGE', `There is no chat format "${name}".`, {
    hint: `There are: ${formatNames.join(', ')}.`,
  })
}
