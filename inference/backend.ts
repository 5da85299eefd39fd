import { z } from 'zod'
import { ClawmeshError } from '../policies/errors.js'
import { type Modality, modalitySchema, type Speed } from './place.js'
import { type ToolCall, toolCallSchema, toolSpecSchema } from './tool.js'

export const imageTypes = ['image/png', 'image/jpeg', 'image/webp', 'image/gif'] as const

export const imageSchema = z.object({
  type: z.enum(imageTypes),
  /** Base64. */
  data: z.string().regex(/^[A-Za-z0-9+/]+={0,2}$/),
})
export type Image = z.infer<typeof imageSchema>

export const chatMessageSchema = z.object({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string(),
  /** What a person shows with what they say; for models that take images. */
  images: z.array(imageSchema).max(16).optional(),
})
export type ChatMessage = z.infer<typeof chatMessageSchema>

/** Where an answer broke off: what another went on to say can be said behind it by the very same model. */
export const resumeSchema = z.object({
  /** Of the model that began: to any other the tokens mean nothing. */
  digest: z.string(),
  /** All of the answer's tokens that are behind what was delivered. */
  ids: z.array(z.int().nonnegative()).min(1),
  /** How many events of the last of these were delivered. */
  said: z.int().positive(),
})
export type Resume = z.infer<typeof resumeSchema>

export const generateRequestSchema = z.object({
  messages: z.array(chatMessageSchema).min(1),
  /** With tools the answer is a call of one of them; without, it is text. */
  tools: z.array(toolSpecSchema).min(1).optional(),
  /** Most tokens to put out; the room left in the model's context bounds it too. */
  maxTokens: z.int().positive(),
  /** 0 takes the likeliest token each time. */
  temperature: z.number().min(0).max(2),
  /** The same seed, request and model give the same answer. */
  seed: z.int().nonnegative().max(0xffffffff).optional(),
  /** The answer is to be a JSON object, one that fits the schema if there is one. A server that can hold its model to it is told; whoever asked checks what came. */
  json: z
    .object({ name: z.string().regex(/^[\w-]{1,64}$/), schema: z.record(z.string(), z.unknown()).optional() })
    .optional(),
  /** Whether to think before the answer, for models that can be told; left out, as the model does by itself. */
  thinking: z.boolean().optional(),
  /** Most tokens of a thought; then it is ended, and the answer follows. A model that cannot be held to that refuses it with MODEL_UNSUITED. */
  thoughtTokens: z.int().nonnegative().optional(),
  /** Goes on with an answer that was begun, and says only what is still to be said. Usage counts all of it. */
  resume: resumeSchema.optional(),
})
export type GenerateRequest = z.infer<typeof generateRequestSchema>

export const usageSchema = z.object({
  promptTokens: z.int().nonnegative(),
  /** Those of the prompt that did not have to be read anew; left out where nobody says. */
  cachedTokens: z.int().nonnegative().optional(),
  outputTokens: z.int().nonnegative(),
})
export type Usage = z.infer<typeof usageSchema>

/** The tokens written since the event before; empty for a further event of the same token. Left out where the server does not say. */
const ids = z.array(z.int().nonnegative()).optional()

/** What a generation puts out, in order; `done` comes once, last. */
export const generateEventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('token'), text: z.string(), ids }),
  z.object({ type: z.literal('call'), call: toolCallSchema, ids }),
  /** What a model thinks before it answers: no part of the answer. */
  z.object({ type: z.literal('thought'), text: z.string(), ids }),
  z.object({
    type: z.literal('done'),
    reason: z.enum(['stop', 'length', 'call']),
    /** null: the server behind the backend does not say. */
    usage: usageSchema.nullable(),
  }),
])
export type GenerateEvent = z.infer<typeof generateEventSchema>

/** What an embedding puts out: one vector for each text, in their order, and `done` last. */
export const embedEventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('vector'), vector: z.array(z.number()).min(1) }),
  z.object({ type: z.literal('done'), promptTokens: z.int().nonnegative().nullable() }),
])
export type EmbedEvent = z.infer<typeof embedEventSchema>

export const modelInfoSchema = z.object({
  name: z.string(),
  /** 'sha256:…' over the digests of all files of the model; null: served from elsewhere, and nobody says. */
  digest: z.string().nullable(),
  /** 'onnx', 'openai:' and the kind of server, or 'triton:' and the dialect. */
  backend: z.string(),
  /** Tokens of prompt and answer together; null: the server does not say. */
  context: z.int().positive().nullable(),
  parameters: z.int().positive().optional(),
  /** Text alone, if left out. */
  modalities: z.array(modalitySchema).optional(),
  /** Set when the model knows these tools and no other. */
  tools: z.array(z.string()).optional(),
  /** Set where it can be held to a bound on its thoughts; others refuse a question that has one. */
  boundsThought: z.boolean().optional(),
  purpose: z.string(),
  limits: z.string(),
  /** Measured by its makers, as its config states them. */
  figures: z.record(z.string(), z.unknown()).optional(),
})
export type ModelInfo = z.infer<typeof modelInfoSchema>

/**
 * One loaded model, wherever it runs.
 *
 *     for await (const event of backend.generate({ messages, tools, maxTokens: 64, temperature: 0 })) …
 *
 * generate: nothing is computed before the first `next()`; leaving the loop cancels. Throws MESSAGE_INVALID, MODEL_UNSUITED
 * (unknown tools, prompt longer than the context), MODEL_BUSY (queue full), MODEL_BROKEN, MODEL_FAILED, CANCELLED (signal).
 */
export interface Backend {
  readonly model: ModelInfo
  /** Left out where nothing was measured yet. */
  readonly speed?: Speed | undefined
  /** Resolves when `speed` is there, or it is clear that it will not be; left out where it is not measured. */
  readonly measured?: Promise<Speed | undefined>
  /** True: a short question of the node's own costs nobody anything, and tells the speed that nothing else has measured. */
  readonly mayBeTried?: boolean
  /** Why the server behind it would give no answer now; undefined: it would, or is too busy to say. Left out where there is no server. */
  away?(): Promise<string | undefined>
  /** Answers that can be under way side by side; left out where the server behind it does not say. */
  readonly slots?: number
  generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GenerateEvent>
  /** Left out where the model makes no vectors of texts. Throws as `generate`; MODEL_UNSUITED also where the server behind it makes none after all. */
  embed?(texts: readonly string[], signal?: AbortSignal): AsyncIterable<EmbedEvent>
  /** Ends whatever is running with CANCELLED and frees what the model held. */
  dispose(): Promise<void>
}

/** The request as parsed. Throws MESSAGE_INVALID, or MODEL_UNSUITED when it asks for what the model cannot do. */
export function checkRequest(model: ModelInfo, request: GenerateRequest): GenerateRequest {
  const parsed = generateRequestSchema.safeParse(request)
  if (!parsed.success)
    throw new ClawmeshError(
      'MESSAGE_INVALID',
      `The request to ${model.name} is malformed: ${z.prettifyError(parsed.error)}`,
      {
        hint: 'Send what generateRequestSchema describes.',
      },
    )
  const { tools: known } = model
  const unknown = (known && parsed.data.tools?.map(({ name }) => name).filter((name) => !known.includes(name))) ?? []
  if (unknown.length > 0)
    throw new ClawmeshError('MODEL_UNSUITED', `${model.name} does not know: ${unknown.join(', ')}.`, {
      hint: `It knows ${known?.join(', ')}. Offer only these, or use a larger model.`,
    })
  const blind = modalitiesOf(parsed.data).find((each) => !(model.modalities ?? ['text']).includes(each))
  if (blind)
    throw new ClawmeshError('MODEL_UNSUITED', `${model.name} takes no ${blind}s.`, {
      hint: 'Ask a model that does: `clawmesh nodes` shows what each takes.',
    })
  if (boundsThought(parsed.data) && !model.boundsThought)
    throw new ClawmeshError('MODEL_UNSUITED', `What serves ${model.name} does not bound how long it thinks.`, {
      hint: 'Leave the bound out, have it not think at all, or ask a model on vLLM, NIM or the built-in backend.',
    })
  const { resume } = parsed.data
  if (resume && resume.digest !== model.digest)
    throw new ClawmeshError('MODEL_UNSUITED', `${model.name} cannot go on with an answer of another model.`, {
      hint: 'Ask again from the beginning.',
    })
  return parsed.data
}

/** What a model must take to be asked this. */
export const modalitiesOf = ({ messages }: Pick<GenerateRequest, 'messages'>): Modality[] =>
  messages.some(({ images }) => images?.length) ? ['text', 'image'] : ['text']

/** Whether it says how long the model may think. */
export const boundsThought = ({ thoughtTokens, thinking }: Pick<GenerateRequest, 'thoughtTokens' | 'thinking'>) =>
  thoughtTokens !== undefined && thinking !== false

/** Runs a generation to its end. */
export async function collect(events: AsyncIterable<GenerateEvent>): Promise<Answer> {
  const draft = new Draft()
  for await (const event of events) {
    const answer = draft.add(event)
    if (answer) return answer
  }
  throw new ClawmeshError('MODEL_FAILED', 'The generation ended without saying so.', { hint: 'Ask again.' })
}

/** An answer as far as it has come, over as many generations as it takes. */
export class Draft {
  private text = ''
  private thought = ''
  private readonly calls: ToolCall[] = []
  private readonly ids: number[] = []
  private said = 0
  private known = true

  get isEmpty(): boolean {
    return this.said === 0
  }

  /** The answer, with its last event. */
  add(event: GenerateEvent): Answer | undefined {
    const { text, thought, calls } = this
    if (event.type === 'done') return { text, thought, calls, reason: event.reason, usage: event.usage }
    if (event.type === 'token') this.text += event.text
    else if (event.type === 'thought') this.thought += event.text
    else this.calls.push(event.call)
    this.known &&= event.ids !== undefined
    if (event.ids?.length) {
      this.ids.push(...event.ids)
      this.said = 0
    }
    this.said++
    return undefined
  }

  /** What a model of this digest needs to go on; undefined where the tokens are not known. */
  resume(digest: string): Resume | undefined {
    const { known, ids, said } = this
    return known && ids.length > 0 ? { digest, ids: [...ids], said } : undefined
  }
}

export interface Answer {
  text: string
  /** Empty where the model thought nothing, or keeps it to itself. */
  thought: string
  calls: ToolCall[]
  reason: 'stop' | 'length' | 'call'
  usage: Usage | null
}

/** What it says of a server that it could not be asked what it has. */
export function awayBy(thrown: unknown): string | undefined {
  const { code } = ClawmeshError.from(thrown)
  return code === 'DEADLINE' || code === 'MODEL_BUSY' || code === 'CANCELLED' ? undefined : 'its server does not answer'
}

export const withoutIt = 'its server has it no more'

export function cancelled(): ClawmeshError {
  return new ClawmeshError('CANCELLED', 'The generation was cancelled.', {
    hint: 'Nothing to do: the caller asked for it.',
  })
}
