/** The chat completions of OpenAI, which many servers speak. https://platform.openai.com/docs/api-reference/chat */
import { z } from 'zod'
import type { ProviderForm } from './form.js'

const chunkSchema = z.object({
  choices: z
    .array(
      z.object({ delta: z.object({ content: z.string().nullish() }).optional(), finish_reason: z.string().nullish() }),
    )
    .default([]),
  usage: z.object({ prompt_tokens: z.number().optional(), completion_tokens: z.number().optional() }).nullish(),
})

export const openAiForm: ProviderForm = {
  path: '/chat/completions',
  headers: (key) => ({ authorization: `Bearer ${key}` }),
  body: (model, { messages, tools = [], maxTokens, temperature }) => ({
    model,
    messages: messages.map(({ role, content }) => ({ role, content })),
    ...(tools.length > 0 ? { tools } : {}),
    max_tokens: maxTokens,
    ...(temperature === undefined ? {} : { temperature }),
    stream: true,
    stream_options: { include_usage: true },
  }),
  read: (data) => {
    if (data === '[DONE]') return { done: true }
    const { choices, usage } = chunkSchema.parse(JSON.parse(data))
    const text = choices[0]?.delta?.content
    return {
      ...(text ? { text } : {}),
      ...(usage ? { usage: counts(usage.prompt_tokens, usage.completion_tokens) } : {}),
    }
  },
}

function counts(inputTokens: number | undefined, outputTokens: number | undefined) {
  return {
    ...(inputTokens === undefined ? {} : { inputTokens }),
    ...(outputTokens === undefined ? {} : { outputTokens }),
  }
}
