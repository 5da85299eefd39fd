/** The chat completions of OpenAI, which many servers speak. https://platform.openai.com/docs/api-reference/chat */
import { z } from 'zod'
import { count } from './count.js'
import type { EndReason, ProviderForm } from './form.js'

const callSchema = z.object({
  index: z.number().default(0),
  function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
})
const deltaSchema = z.object({ content: z.string().nullish(), tool_calls: z.array(callSchema).nullish() })
const usageSchema = z.object({
  prompt_tokens: count,
  completion_tokens: count,
  prompt_tokens_details: z.object({ cached_tokens: count }).nullish(),
})
type Usage = z.output<typeof usageSchema>
const chunkSchema = z.object({
  choices: z.array(z.object({ delta: deltaSchema.nullish(), finish_reason: z.string().nullish() })).default([]),
  usage: usageSchema.nullish(),
})

const reasons: Readonly<Record<string, EndReason>> = { stop: 'stop', length: 'length', tool_calls: 'call' }

export const openAiForm: ProviderForm = {
  path: '/chat/completions',
  headers: (key) => ({ authorization: `Bearer ${key}` }),
  body: (model, { messages, tools = [], maxTokens, temperature }) => ({
    model,
    // Here a tool's result would need the id of a call; the mesh's messages are text alone.
    messages: messages.map(({ role, content }) => ({ role: role === 'tool' ? 'user' : role, content })),
    ...(tools.length > 0 ? { tools: tools.map((tool) => ({ type: 'function', function: tool })) } : {}),
    max_tokens: maxTokens,
    ...(temperature === undefined ? {} : { temperature }),
    stream: true,
    stream_options: { include_usage: true },
  }),
  read: (data) => {
    if (data === '[DONE]') return { done: true }
    const { choices, usage } = chunkSchema.parse(JSON.parse(data))
    const { delta, finish_reason: finished } = choices[0] ?? {}
    const reason = reasons[finished ?? '']
    const calls = delta?.tool_calls?.map(({ index, function: part }) => ({
      index,
      name: part?.name ?? '',
      arguments: part?.arguments ?? '',
    }))
    return {
      ...(delta?.content ? { text: delta.content } : {}),
      ...(calls ? { calls } : {}),
      ...(reason ? { reason } : {}),
      ...(usage ? countsOf(usage) : {}),
    }
  },
}

/** Nothing where a count is missing: nobody is to take it for none. */
const countsOf = ({ prompt_tokens: prompt, completion_tokens: output, prompt_tokens_details: details }: Usage) =>
  typeof prompt === 'number' && typeof output === 'number'
    ? { usage: { promptTokens: prompt, cachedTokens: details?.cached_tokens ?? 0, outputTokens: output } }
    : {}
