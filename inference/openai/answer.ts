import { ClawmeshError } from '../../policies/errors.js'
import { boundsThought, type GenerateEvent, type GenerateRequest, type Usage } from '../backend.js'
import { AnswerReader } from '../chat/answer.js'
import { isRecord } from '../models.js'
import type { ToolCall } from '../tool.js'
import { brokenOff, refusal } from './refusal.js'
import { malformed } from './sse.js'
import { type Chunk, chunkSchema, errorSchema, type ToolCallDelta } from './wire.js'

/** No token is longer than this in any vocabulary in use; with JSON around it, it takes this many bytes at most. */
const charactersPerToken = 256
const bytesPerToken = 4096
/** Beyond a bound on thoughts, for what ends one. */
const tokensToEnd = 16
/** For what a stream carries beside its tokens. */
const bytesForFree = 65_536

/** Passes a body on until it is longer than any answer of so many tokens. Throws MODEL_FAILED. */
export async function* capped(body: AsyncIterable<Uint8Array>, maxTokens: number): AsyncIterable<Uint8Array> {
  let size = 0
  for await (const piece of body) {
    size += piece.length
    if (size > bytesForFree + maxTokens * bytesPerToken) throw endless(maxTokens)
    yield piece
  }
}

/**
 * The events of a streamed completion, from the data of its server-sent events. Calls come whole, once their last piece is there.
 * Throws MODEL_FAILED for an error in the stream (what its code means as a status, where it has one and comes before any of the answer), for what is no chunk, for a stream that ends before the
 * answer does, for one that goes on beyond `maxTokens`, and for thoughts beyond their bound. Thoughts and calls that a server leaves in the text, as those without a parser for their model do, are told apart as well.
 */
export async function* readAnswer(
  events: AsyncIterable<string>,
  { maxTokens, tools, ...thinking }: Pick<GenerateRequest, 'maxTokens' | 'tools' | 'thinking' | 'thoughtTokens'>,
): AsyncIterable<GenerateEvent> {
  const bound = boundsThought(thinking) ? (thinking.thoughtTokens ?? 0) : Number.POSITIVE_INFINITY
  let thoughts = 0
  const reader = new AnswerReader({ tools })
  let called = 0
  const told = (parts: ReturnType<AnswerReader['push']>) => {
    called += parts.filter(({ type }) => type === 'call').length
    return parts
  }
  const calls: { name: string; written: string }[] = []
  let reason: string | undefined
  let usage: Usage | null = null
  let written = 0
  for await (const data of events) {
    if (data.trim() === '[DONE]') break
    const chunk = parseChunk(data, written > 0 || calls.length > 0)
    if (chunk.usage) usage = { promptTokens: chunk.usage.prompt_tokens, outputTokens: chunk.usage.completion_tokens }
    // Only one answer is asked for; a second choice would be mixed into it.
    const [choice] = chunk.choices
    written += lengthOf(choice?.delta)
    if (written > maxTokens * charactersPerToken) throw endless(maxTokens)
    const thought = choice?.delta?.reasoning_content || choice?.delta?.reasoning
    const parts = choice?.delta?.content ? told(reader.push(choice.delta.content)) : []
    // A piece is one token or more.
    if (thought || parts.some(({ type }) => type === 'thought')) thoughts++
    if (thoughts > bound + tokensToEnd) throw unbounded(bound)
    if (thought) yield { type: 'thought', text: thought }
    yield* parts
    for (const delta of choice?.delta?.tool_calls ?? []) append(calls, delta)
    reason = choice?.finish_reason ?? reason
  }
  if (reason === undefined) throw malformed('it ends in the middle of the answer')
  if (reason === 'content_filter') throw malformed('the server withheld it (content_filter)')
  // What was cut off at the limit is no call.
  if (reason === 'length' && calls.length > 0) throw malformed('a tool call was cut off at maxTokens')
  yield* told(reader.end())
  for (const call of calls) yield { type: 'call', call: toCall(call) }
  yield { type: 'done', reason: calls.length + called > 0 ? 'call' : reason === 'length' ? 'length' : 'stop', usage }
}

function lengthOf(delta: Chunk['choices'][number]['delta']): number {
  const { content, reasoning_content, reasoning } = delta ?? {}
  const pieces = [
    content,
    reasoning_content || reasoning,
    ...(delta?.tool_calls ?? []).map((call) => call.function?.arguments),
  ]
  return pieces.reduce((sum, piece) => sum + (piece?.length ?? 0), 0)
}

const unbounded = (bound: number) =>
  new ClawmeshError(
    'MODEL_FAILED',
    `The model server took a bound of ${bound} tokens on thoughts, and its model thinks on.`,
    {
      hint: 'Ask without the bound, or have the model not think at all.',
    },
  )

const endless = (maxTokens: number) => malformed(`it goes on beyond the ${maxTokens} tokens that were asked for`)

function parseChunk(data: string, hasBegun: boolean): Chunk {
  let json: unknown
  try {
    json = JSON.parse(data)
  } catch (cause) {
    throw malformed('a chunk is not JSON', cause)
  }
  const { data: error } = errorSchema.safeParse(json)
  if (error) throw error.code === undefined || hasBegun ? brokenOff(error.message) : refusal(error.code, error.message)
  const { data: chunk, error: cause } = chunkSchema.safeParse(json)
  if (!chunk) throw malformed('a chunk is not a completion chunk', cause)
  return chunk
}

/** A delta with an index continues the call of that index; one without, with a name, is a call of its own. */
function append(calls: { name: string; written: string }[], { index, function: piece }: ToolCallDelta): void {
  const at = index ?? (piece?.name ? calls.length : calls.length - 1)
  if (at < 0 || at > calls.length || at > 127) throw malformed('the pieces of its tool calls are out of order')
  calls[at] ??= { name: '', written: '' }
  const call = calls[at]
  if (!call) return
  // Some servers repeat the name in each piece.
  if (piece?.name && call.name === '') call.name = piece.name
  call.written += piece?.arguments ?? ''
}

function toCall({ name, written }: { name: string; written: string }): ToolCall {
  try {
    const parsed: unknown = written.trim() === '' ? {} : JSON.parse(written)
    if (isRecord(parsed)) return { name, arguments: parsed }
  } catch (cause) {
    throw malformed(`the arguments of its call of ${name} are not JSON`, cause)
  }
  throw malformed(`the arguments of its call of ${name} are not an object`)
}
