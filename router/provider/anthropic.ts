/** The messages of Anthropic. https://docs.anthropic.com/en/api/messages-streaming */
import { z } from 'zod'
import { count } from './count.js'
import type { EndReason, ProviderForm, ProviderUsage } from './form.js'

const usageSchema = z.object({
  input_tokens: count,
  cache_read_input_tokens: count,
  cache_creation_input_tokens: count,
  output_tokens: count,
})
const eventSchema = z.object({
  type: z.string(),
  index: z.number().optional(),
  content_block: z.object({ type: z.string(), name: z.string().optional() }).optional(),
  delta: z
    .object({ text: z.string().optional(), partial_json: z.string().optional(), stop_reason: z.string().nullish() })
    .optional(),
  message: z.object({ usage: usageSchema.optional() }).optional(),
  usage: usageSchema.optional(),
})

const reasons: Readonly<Record<string, EndReason>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
  tool_use: 'call',
}

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
      ...(tools.length > 0
        ? { tools: tools.map(({ parameters, ...tool }) => ({ ...tool, input_schema: parameters })) }
        : {}),
      ...(temperature === undefined ? {} : { temperature }),
      stream: true,
    }
  },
  read: (data) => {
    const { type, index = 0, content_block: block, delta, message, usage } = eventSchema.parse(JSON.parse(data))
    if (type === 'message_stop') return { done: true }
    const call =
      block?.type === 'tool_use'
        ? { index, name: block.name ?? '' }
        : delta?.partial_json === undefined
          ? undefined
          : { index, arguments: delta.partial_json }
    const reason = reasons[delta?.stop_reason ?? '']
    const counted = usage ?? message?.usage
    return {
      ...(delta?.text ? { text: delta.text } : {}),
      ...(call ? { calls: [call] } : {}),
      ...(reason ? { reason } : {}),
      ...(counted ? { usage: countsOf(counted) } : {}),
    }
  },
}

/** What was read from a cache, or written to one, it counts apart from the rest of the prompt. */
function countsOf(usage: z.output<typeof usageSchema>): Partial<ProviderUsage> {
  const { input_tokens: input, cache_read_input_tokens: cached, cache_creation_input_tokens: kept } = usage
  return {
    ...(typeof input === 'number'
      ? { promptTokens: input + (cached ?? 0) + (kept ?? 0), cachedTokens: cached ?? 0 }
      : {}),
    ...(typeof usage.output_tokens === 'number' ? { outputTokens: usage.output_tokens } : {}),
  }
}
