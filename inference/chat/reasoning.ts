import type { ChatMessage } from '../backend.js'

/**
 * How a model is told to think or not, by the generation of its family:
 * `detailed`: a system message "detailed thinking on" (Llama Nemotron); `slash`: "/think" and "/no_think" in the system message (Nemotron Nano v2,
 * Llama Nemotron Super v1.5); `switch`: the template's variable enable_thinking (Nemotron 3); `none`: not at all.
 */
export type Reasoning = 'detailed' | 'slash' | 'switch' | 'none'

/** What a chat template reacts to. A template that only passes a system message on cannot show that its model knows "detailed thinking". */
export function reasoningOf(template: string): Reasoning {
  // Nemotron Nano v2 keeps what it read from the messages in a variable called enable_thinking.
  if (template.includes('/no_think')) return 'slash'
  if (template.includes('detailed thinking')) return 'detailed'
  return template.includes('enable_thinking') ? 'switch' : 'none'
}

/** The messages and template variables that turn thinking on or off; undefined leaves both as they are. */
export function withReasoning(
  messages: readonly ChatMessage[],
  reasoning: Reasoning,
  thinking: boolean | undefined,
): { messages: ChatMessage[]; variables: Record<string, boolean> } {
  if (thinking === undefined) return { messages: [...messages], variables: {} }
  if (reasoning === 'switch') return { messages: [...messages], variables: { enable_thinking: thinking } }
  if (reasoning === 'detailed')
    return { messages: led(messages, `detailed thinking ${thinking ? 'on' : 'off'}`), variables: {} }
  if (reasoning === 'slash') return { messages: led(messages, thinking ? '/think' : '/no_think'), variables: {} }
  return { messages: [...messages], variables: {} }
}

/** The words at the head of the system message, which is made if there is none. */
function led(messages: readonly ChatMessage[], words: string): ChatMessage[] {
  const [first, ...rest] = messages
  if (first?.role !== 'system') return [{ role: 'system', content: words }, ...messages]
  return [{ role: 'system', content: first.content === '' ? words : `${words}\n\n${first.content}` }, ...rest]
}
