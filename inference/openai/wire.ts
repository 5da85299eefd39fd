import { z } from 'zod'
import type { GenerateRequest, Image } from '../backend.js'
import { type Reasoning, withReasoning } from '../chat/reasoning.js'
import type { ServerKind } from './probe.js'

/** What an OpenAI-compatible server sends, as far as it is read here. Servers add fields freely; those are dropped. */

export const modelListSchema = z.object({
  data: z.array(
    z.object({
      id: z.string(),
      owned_by: z.string().optional(),
      /** vLLM, NIM. */
      max_model_len: z.int().positive().nullish(),
      /** Dynamo, newer ones. */
      context_window: z.int().positive().nullish(),
      /** llama.cpp: what the model was trained with, and its size. */
      meta: z
        .object({
          n_ctx: z.int().positive().nullish(),
          n_ctx_train: z.int().positive().nullish(),
          n_params: z.int().positive().nullish(),
        })
        .nullish(),
    }),
  ),
  /** llama.cpp once more, which says here alone whether it was started with a projector for images. */
  models: z.array(z.object({ name: z.string(), capabilities: z.array(z.string()).optional() })).optional(),
})
export type ListedModel = z.infer<typeof modelListSchema>['data'][number] & { readonly multimodal?: boolean }

const toolCallDeltaSchema = z.object({
  /** Missing at some servers, which then send each call whole. */
  index: z.int().nonnegative().nullish(),
  function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }).nullish(),
})
export type ToolCallDelta = z.infer<typeof toolCallDeltaSchema>

export const chunkSchema = z.object({
  choices: z.array(
    z.object({
      delta: z
        .object({
          content: z.string().nullish(),
          /** What it thinks: by llama.cpp, NIM and older vLLM; by Ollama and newer vLLM. */
          reasoning_content: z.string().nullish(),
          reasoning: z.string().nullish(),
          tool_calls: z.array(toolCallDeltaSchema).nullish(),
        })
        .nullish(),
      finish_reason: z.string().nullish(),
    }),
  ),
  usage: z.object({ prompt_tokens: z.int().nonnegative(), completion_tokens: z.int().nonnegative() }).nullish(),
})
export type Chunk = z.infer<typeof chunkSchema>

export const embeddingsSchema = z.object({
  data: z.array(z.object({ index: z.int().nonnegative(), embedding: z.array(z.number()).min(1) })),
  usage: z.object({ prompt_tokens: z.int().nonnegative() }).nullish(),
})

/** As much of a server's own words as an error of ours has room for; no character is cut in two. */
export const excerpt = (words: string): string => words.slice(0, 1000).replace(/[\ud800-\udbff]$/, '')
const wordsSchema = z.string().transform(excerpt)

/** The code of an error is the status that it would have by itself, at vLLM and llama.cpp; a word, or none, elsewhere. */
const saidSchema = z.object({ message: wordsSchema, code: z.int().min(400).max(599).optional().catch(undefined) })

/** An error in a body or in a stream: {"error": {"message"}} everywhere, older vLLM puts the message at the top. */
export const errorSchema = z.union([
  z.object({ error: saidSchema }).transform(({ error }) => error),
  z.object({ error: wordsSchema }).transform(({ error }) => ({ message: error, code: undefined })),
  saidSchema.extend({ object: z.literal('error') }),
])

/** A model as its server has it. */
export interface Spoken {
  model: string
  kind: ServerKind
  /** How it is told to think or not. */
  reasoning: Reasoning
}

/** The body of POST /v1/chat/completions. A tool's own words of JSON Schema (x-…) are left out: strict servers refuse them. */
export function completionBody({ model, kind, reasoning }: Spoken, request: GenerateRequest): string {
  const { tools, json, maxTokens, temperature, seed, thinking, thoughtTokens } = request
  const { messages, variables } = withReasoning(request.messages, reasoning, thinking)
  return JSON.stringify({
    model,
    // Without the ids of the calls that it answers, a tool's message is refused; its content is what matters.
    messages: messages.map(({ role, content, images }) => ({
      role: role === 'tool' ? 'user' : role,
      content: images?.length ? [{ type: 'text', text: content }, ...images.map(imagePart)] : content,
    })),
    ...(tools
      ? { tools: tools.map((tool) => ({ type: 'function', function: plain(tool) })), tool_choice: 'auto' }
      : {}),
    ...(json ? { response_format: responseFormat(json) } : {}),
    max_tokens: maxTokens,
    temperature,
    ...(seed === undefined ? {} : { seed }),
    ...(Object.keys(variables).length > 0 ? switched(kind, variables) : {}),
    ...(thoughtTokens === undefined || thinking === false ? {} : boundOn[kind]?.(thoughtTokens)),
    stream: true,
    stream_options: { include_usage: true },
  })
}

/** Variables of the chat template; Ollama, which lets nobody set these, has a word of its own. */
const switched = (kind: ServerKind, variables: Record<string, boolean>): object =>
  kind === 'ollama'
    ? { reasoning_effort: variables['enable_thinking'] === false ? 'none' : 'medium' }
    : { chat_template_kwargs: variables }

/** How servers are told how long a model may think; the others cannot be. */
export const boundOn: Partial<Record<ServerKind, (tokens: number) => object>> = {
  vllm: (tokens) => ({ thinking_token_budget: tokens }),
  nim: (tokens) => ({ nvext: { max_thinking_tokens: tokens } }),
}

const imagePart = ({ type, data }: Image) => ({ type: 'image_url', image_url: { url: `data:${type};base64,${data}` } })

const responseFormat = ({ name, schema }: NonNullable<GenerateRequest['json']>) =>
  schema ? { type: 'json_schema', json_schema: { name, schema, strict: true } } : { type: 'json_object' }

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([key]) => !key.startsWith('x-'))
  return Object.fromEntries(kept.map(([key, inner]) => [key, plain(inner)]))
}
