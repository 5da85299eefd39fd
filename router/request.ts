/** What a model is asked, and everything in it that is text. */
import { type Weight, weigh } from '../policies/complexity.js'

export interface ModelMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool'
  readonly content: string
  /** Nobody reads these here: what they show is not known. */
  readonly images?: readonly unknown[] | undefined
}

export interface ModelRequest {
  readonly messages: readonly ModelMessage[]
  readonly tools?: readonly ModelTool[] | undefined
  /** What form the answer is to have. No model elsewhere is told. */
  readonly json?: unknown
  readonly maxTokens: number
  readonly temperature?: number
}

export interface ModelTool {
  readonly name: string
  readonly description: string
  /** A JSON schema. */
  readonly parameters?: Readonly<Record<string, unknown>>
}

export const weightOf = ({ messages, tools = [], maxTokens }: ModelRequest): Weight =>
  weigh({ messages, tools: tools.length, maxTokens })

/** Texts laid end to end, a line apart, so that what was split between them is found too. */
export interface Laid {
  readonly text: string
  /** Where each of them begins. */
  readonly starts: readonly number[]
}

export function lay(texts: readonly string[]): Laid {
  const starts: number[] = []
  let length = 0
  for (const text of texts) {
    starts.push(length)
    length += text.length + 1
  }
  return { text: texts.join('\n'), starts }
}

/** Everything in the request that a model would read: messages first, then names and values of the tools, and of the form of the answer. */
export function textsOf({ messages, tools = [], json }: ModelRequest): string[] {
  return [...messages.map(({ content }) => content), ...leaves(tools), ...leaves(json)]
}

/** Where a speaker is interrupted by others, what that speaker alone said: something may be split over several turns. */
export function turnsOf({ messages }: ModelRequest): string[] {
  const speakers = [...new Set(messages.map(({ role }) => role))]
  if (speakers.length < 2) return []
  return speakers.flatMap((speaker) => {
    const said = messages.filter(({ role }) => role === speaker)
    return said.length < 2 ? [] : [said.map(({ content }) => content).join('\n')]
  })
}

/** Every string in a JSON value, names of fields too, in order. */
export function leaves(value: unknown): string[] {
  const found: string[] = []
  const pending: unknown[] = [value]
  while (pending.length > 0) {
    const next = pending.pop()
    if (typeof next === 'string') found.push(next)
    else if (typeof next === 'number') found.push(String(next))
    else if (Array.isArray(next)) for (const each of next.toReversed()) pending.push(each)
    else if (typeof next === 'object' && next !== null)
      for (const [name, each] of Object.entries(next).toReversed()) pending.push(each, name)
  }
  return found
}
