/** The chat completions of the OpenAI API, as the mesh understands them. What it cannot honour is refused, never ignored. */
import { z } from 'zod'
import {
  type Answer,
  type ChatMessage,
  type GenerateEvent,
  type GenerateRequest,
  type Image,
  imageSchema,
  imageTypes,
} from '../../../inference/backend.js'
import { type ToolCall, toolSpecSchema } from '../../../inference/tool.js'
import { categories, labels } from '../../../policies/router-label.js'
import { Refusal } from '../http/refusal.js'
import { type AnswerHead, type Asked, parseBody, stopSchema, usageOf } from './asked.js'
import { formatOf, instructed, responseFormatSchema } from './response-format.js'

const defaultTokens = 1024
const mostTokens = 131_072

/** Of the data itself: nothing is fetched for a caller. */
const imagePartSchema = z
  .strictObject({
    type: z.literal('image_url'),
    image_url: z.strictObject({ url: z.string(), detail: z.enum(['auto', 'low', 'high']).optional() }),
  })
  .transform(({ image_url: { url } }, context): Image => {
    const [, type = '', data = ''] = /^data:([a-z/]+);base64,([\s\S]*)$/.exec(url) ?? []
    const image = imageSchema.safeParse({ type, data })
    if (image.success) return image.data
    const reason = `an image must be a data: URL in Base64, of ${imageTypes.join(', ')}`
    context.addIssue({ code: 'custom', message: reason, path: ['image_url', 'url'] })
    return z.NEVER
  })
const textPartSchema = z.strictObject({ type: z.literal('text'), text: z.string() })

/** Of a person: parts too, so that it is said which of them cannot be used. */
const shownSchema = z
  .preprocess(
    (content) => (typeof content === 'string' ? [{ type: 'text', text: content }] : content),
    z.array(z.discriminatedUnion('type', [textPartSchema, imagePartSchema])),
  )
  .transform((parts) => {
    const images = parts.flatMap((part) => ('text' in part ? [] : [part]))
    const content = parts.map((part) => ('text' in part ? part.text : '')).join('')
    return images.length > 0 ? { content, images } : { content }
  })

const textSchema = z.union([
  z.string(),
  z
    .array(z.strictObject({ type: z.literal('text'), text: z.string() }))
    .transform((parts) => parts.map(({ text }) => text).join('')),
])

const pastCallSchema = z.object({
  id: z.string(),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
})

const named = { name: z.string().optional() }
const messageSchema = z.discriminatedUnion('role', [
  z.strictObject({ role: z.enum(['system', 'developer']), content: textSchema, ...named }),
  z.strictObject({ role: z.literal('user'), content: shownSchema, ...named }),
  z.strictObject({
    role: z.literal('assistant'),
    content: textSchema.nullish(),
    refusal: z.null().optional(),
    tool_calls: z.array(pastCallSchema).optional(),
    ...named,
  }),
  z.strictObject({ role: z.literal('tool'), content: textSchema, tool_call_id: z.string() }),
])

const toolSchema = z.strictObject({
  type: z.literal('function'),
  function: z
    .strictObject({
      name: z.string(),
      description: z.string().default(''),
      parameters: z.looseObject({}).default({ type: 'object', properties: {} }),
      strict: z.boolean().nullish(),
    })
    .transform(({ name, description, parameters }) => ({ name, description, parameters }))
    .pipe(toolSpecSchema),
})

const choiceSchema = z.union([
  z.enum(['auto', 'required', 'none']),
  z.strictObject({ type: z.literal('function'), function: z.strictObject({ name: z.string() }) }),
])

/** A client that knows more than the words show says so: its label and categories are where the labels of this conversation begin. */
export const metadataSchema = z
  .object({ label: z.enum(labels).optional(), categories: z.string().optional() })
  .catchall(z.string())
  .transform(({ label, categories: named, ...rest }, context) => {
    const held = named?.split(/[\s,]+/).filter((name) => name !== '') ?? []
    const stray = held.find((name) => !categories.some((category) => category === name))
    if (stray !== undefined) context.addIssue(`categories: there is no category ${stray}`)
    if (label === undefined && held.length > 0) context.addIssue('categories come with a label')
    const seen = label && { label, categories: categories.filter((category) => held.includes(category)) }
    return { ...rest, label: seen }
  })

export const tokens = z.int().positive().max(mostTokens).nullish()

export const chatRequestSchema = z.strictObject({
  model: z.string().min(1).max(200),
  messages: z.array(messageSchema).min(1, 'there has to be one'),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_usage: z.boolean().optional() }).nullish(),
  tools: z.array(toolSchema).optional(),
  tool_choice: choiceSchema.optional(),
  response_format: responseFormatSchema.nullish(),
  max_tokens: tokens,
  max_completion_tokens: tokens,
  temperature: z.number().min(0).max(2).nullish(),
  stop: stopSchema,
  seed: z.int().nonnegative().max(0xffffffff).nullish(),
  /** Whether to think first, in the words of vLLM and of OpenAI, and for how many tokens at most. */
  chat_template_kwargs: z.strictObject({ enable_thinking: z.boolean().optional() }).nullish(),
  reasoning_effort: z.literal('none').nullish(),
  thinking_token_budget: z.int().nonnegative().max(mostTokens).nullish(),
  // These are let in only where they ask for what happens anyway.
  n: z.literal(1).nullish(),
  top_p: z.literal(1).nullish(),
  presence_penalty: z.literal(0).nullish(),
  frequency_penalty: z.literal(0).nullish(),
  logprobs: z.literal(false).nullish(),
  // These change no answer here.
  parallel_tool_calls: z.boolean().optional(),
  user: z.string().optional(),
  metadata: metadataSchema.nullish(),
  store: z.boolean().nullish(),
})
export type ChatRequest = z.output<typeof chatRequestSchema>

/** Throws 400 for what cannot be honoured. */
export function parseChat(body: unknown): Asked {
  const chat = parseBody(chatRequestSchema, body)
  const format = formatOf(chat.response_format)
  const question = generateRequestOf(chat)
  return {
    model: chat.model,
    stream: chat.stream === true,
    question: format ? { ...question, messages: instructed(question.messages, format), json: format.json } : question,
    label: chat.metadata?.label,
    stop: chat.stop,
    prefix: 'chatcmpl-',
    misfit: format?.misfit,
    whole: completionOf,
    chunks: (head) => chunksOf(head, chat.stream_options?.include_usage === true),
  }
}

/** The same as a model of the mesh is asked. */
function generateRequestOf(chat: ChatRequest): GenerateRequest {
  const tools = offeredTools(chat)
  const thinking = chat.reasoning_effort === 'none' ? false : chat.chat_template_kwargs?.enable_thinking
  return {
    messages: chat.messages.map(messageOf),
    maxTokens: chat.max_completion_tokens ?? chat.max_tokens ?? defaultTokens,
    temperature: chat.temperature ?? 1,
    ...(tools.length > 0 ? { tools } : {}),
    ...(typeof chat.seed === 'number' ? { seed: chat.seed } : {}),
    ...(thinking === undefined ? {} : { thinking }),
    ...(typeof chat.thinking_token_budget === 'number' ? { thoughtTokens: chat.thinking_token_budget } : {}),
  }
}

function offeredTools({ tools = [], tool_choice: choice = 'auto' }: ChatRequest) {
  const specs = tools.map((tool) => tool.function)
  if (choice === 'none') return []
  if (choice === 'auto') return specs
  const chosen = choice === 'required' ? specs : specs.filter(({ name }) => name === choice.function.name)
  if (chosen.length > 0) return chosen
  throw new Refusal(400, 'MESSAGE_INVALID', 'The request cannot be used: tool_choice names a tool that is not offered.')
}

/** The mesh's messages are text alone, so what the model called before stands there as it would write it. */
function messageOf(message: ChatRequest['messages'][number]): ChatMessage {
  if (message.role === 'user') return { role: 'user', ...message.content }
  if (message.role !== 'assistant')
    return { role: message.role === 'developer' ? 'system' : message.role, content: message.content }
  const calls = (message.tool_calls ?? []).map(
    (call) => `{"name": ${JSON.stringify(call.function.name)}, "arguments": ${call.function.arguments}}`,
  )
  return { role: 'assistant', content: [message.content ?? '', ...calls].filter((line) => line !== '').join('\n') }
}

const finishReasons = { stop: 'stop', length: 'length', call: 'tool_calls' } as const

function completionOf(head: AnswerHead, { text, calls, reason, usage }: Answer): object {
  const called = calls.length > 0
  return {
    ...head,
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: called && text === '' ? null : text,
          refusal: null,
          ...(called ? { tool_calls: calls.map((call, index) => callOf(head, call, index)) } : {}),
        },
        logprobs: null,
        finish_reason: finishReasons[reason],
      },
    ],
    ...(usage ? { usage: usageOf(usage) } : {}),
  }
}

/** Makes the chunks of one streamed answer of its events. A thought is no part of the answer, and no chunk. */
function chunksOf(head: AnswerHead, withUsage: boolean): (event: GenerateEvent) => object[] {
  const chunk = (delta: object, reason: string | null = null) => ({
    ...head,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }],
    ...(withUsage ? { usage: null } : {}),
  })
  let calls = 0
  let hasBegun = false
  return (event) => {
    const opening = hasBegun || event.type === 'thought' ? [] : [chunk({ role: 'assistant', content: '' })]
    hasBegun ||= opening.length > 0
    if (event.type === 'thought') return []
    if (event.type === 'token') return [...opening, chunk({ content: event.text })]
    if (event.type === 'call') {
      const index = calls++
      return [...opening, chunk({ tool_calls: [{ index, ...callOf(head, event.call, index) }] })]
    }
    const end = chunk({}, finishReasons[event.reason])
    return [
      ...opening,
      end,
      ...(withUsage && event.usage ? [{ ...end, choices: [], usage: usageOf(event.usage) }] : []),
    ]
  }
}

const callOf = ({ id }: AnswerHead, call: ToolCall, index: number) => ({
  id: `call_${id.slice(-12)}_${index}`,
  type: 'function',
  function: { name: call.name, arguments: JSON.stringify(call.arguments) },
})
