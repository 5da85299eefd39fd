import { z } from 'zod'
import { ClawmeshError } from '../policies/errors.js'
import { charactersOf } from './constrain/charset.js'

/**
 * One argument of a tool: JSON Schema, with two words of our own for strings.
 * `x-copy`: the value is a verbatim piece of the last user message. `x-charset`: it has only these characters ('0-9 .+-').
 */
export const toolArgumentSchema = z.looseObject({
  type: z.string().optional(),
  description: z.string().optional(),
  enum: z.array(z.union([z.string(), z.number()])).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  'x-copy': z.boolean().optional(),
  'x-charset': z.string().min(1).optional(),
})
export type ToolArgument = z.infer<typeof toolArgumentSchema>

/**
 * What a caller offers a model, in the shape of the OpenAI API. The order of `properties` is the order of generation;
 * those that `required` does not name may be left out from the end.
 */
export const toolSpecSchema = z.object({
  name: z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,63}$/, 'a tool name is 1 to 64 letters, digits, _ or -'),
  description: z.string(),
  parameters: z.looseObject({
    type: z.literal('object'),
    properties: z.record(z.string(), toolArgumentSchema).default({}),
    required: z.array(z.string()).optional(),
  }),
})
export type ToolSpec = z.infer<typeof toolSpecSchema>

/** What a model asks for: one of the offered tools, with arguments that its schema accepts. */
export const toolCallSchema = z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()) })
export type ToolCall = z.infer<typeof toolCallSchema>

/**
 * The last gate before a call leaves a backend, whatever made it: the tool was offered, the arguments parse against its
 * schema, copied values stand in the user's message. Throws MODEL_FAILED, with `unusable` in its data.
 */
export function checkCall(call: ToolCall, offered: readonly ToolSpec[], userText: string): ToolCall {
  const tool = offered.find(({ name }) => name === call.name)
  if (!tool) throw unusable(`it calls "${call.name}", which was not offered`)
  const { properties } = tool.parameters
  const parsed = schemaOf(tool).safeParse(call.arguments)
  if (!parsed.success) throw unusable(`the arguments of ${call.name} do not fit its schema`, parsed.error)
  for (const [name, value] of Object.entries(call.arguments)) {
    const { 'x-copy': copy, 'x-charset': charset } = properties[name] ?? {}
    if (typeof value !== 'string') continue
    if (copy && !userText.includes(value)) throw unusable(`${call.name}.${name} is no piece of the request`)
    if (charset && !charsetOf(charset).test(value)) throw unusable(`${call.name}.${name} has other characters`)
  }
  return call
}

function schemaOf(tool: ToolSpec): z.ZodType {
  const schema = { additionalProperties: false, ...tool.parameters } as Parameters<typeof z.fromJSONSchema>[0]
  try {
    return z.fromJSONSchema(schema)
  } catch (cause) {
    throw new ClawmeshError('MODEL_UNSUITED', `The schema of the tool ${tool.name} cannot be checked.`, {
      hint: 'Use plain JSON Schema without outside references.',
      cause,
    })
  }
}

function charsetOf(charset: string): { test(value: string): boolean } {
  const allowed = new Set(charactersOf(charset))
  return { test: (value) => [...value].every((char) => allowed.has(char)) }
}

function unusable(why: string, cause?: unknown): ClawmeshError {
  return new ClawmeshError('MODEL_FAILED', `The model's tool call cannot be used: ${why}.`, {
    hint: 'Say the request in other words, or ask a more capable model.',
    data: { unusable: true },
    cause,
  })
}
