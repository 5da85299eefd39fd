/** The messages of Anthropic. https://docs.anthropic.com/en/api/messages-streaming */
import { z } from 'zod'
import type { ProviderForm } from './form.js'

const usage = z.object({ input_tokens: z.number().optional(), output_tokens: z.number().optional() })
const eventSchema = z.object({
  type: z.string(),
  delta: z.object({ text: z.string().optional() }).optional(),
  message: z.object({ usage: usage.optional() }).optional(),
  usage: usage.optional(),
})

export const anthropicForm: ProviderForm = {
  path: '/messages',
  headers: (key) => ({ 'x-api-key': key, 'anthropic-version': '2023-06-01' }),
  body: (model, { messages, tools = [], maxTokens, temperature }) => {
    const system = messages.filter(({ role }) => role === 'system').map(({ content }) => content)
    return {
      model,
      max_tokens: maxTokens,
      ...(system.length > 0 ? { system: system.join('\n\n') } : {}),
      messages: messages
        .filter(({ role }) => role !== 'system')
        .map(({ role, content }) => ({ role: role === 'assistant' ? 'assistant' : 'user', content })),
      ...(tools.length > 0 ? { tools } : {}),
      ...(temperature === undefined ? {} : { temperature }),
      stream: true,
    }
  },
  read: (data) => {
    const event = eventSchema.parse(JSON.parse(data))
    if (event.type === 'message_stop') return { done: true }
    const counted = event.usage ?? event.message?.usage
    return {
      ...(event.delta?.text ? { text: event.delta.text } : {}),
      ...(counted
        ? {
            usage: {
              ...(counted.input_tokens === undefined ? {} : { inputTokens: counted.input_tokens }),
              ...(counted.output_tokens === undefined ? {} : { outputTokens: counted.output_tokens }),
            },
          }
        : {}),
    }
  },
}
