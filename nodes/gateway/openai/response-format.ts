/**
 * What an answer is asked to be. The model is told in words and, where its server can hold it to them, in those of that server; what comes is checked here all
 * the same, whoever made it: an answer that does not fit is an error and never given out.
 */
import { z } from 'zod'
import type { Answer, ChatMessage, GenerateRequest } from '../../../inference/backend.js'
import { Refusal } from '../http/refusal.js'
import { misfitOf } from './json-check.js'
import { type Parsed, parseJsonSchema } from './json-schema.js'

export const responseFormatSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    json_schema: z.strictObject({
      name: z.string().regex(/^[\w-]{1,64}$/),
      description: z.string().optional(),
      schema: z.record(z.string(), z.unknown()).default({}),
      /** Every answer is checked, whether or not it is asked for. */
      strict: z.boolean().nullish(),
    }),
  }),
])

export interface Format {
  readonly json: NonNullable<GenerateRequest['json']>
  /** What the model is told. */
  readonly instruction: string
  /** Why an answer does not fit, if it does not. Calls of tools are no answer yet. */
  readonly misfit: (answer: Answer) => string | undefined
}

const anyObject = parseJsonSchema({ type: 'object' })

/** Undefined where any text will do. Throws 400 for a schema that could not be checked whole. */
export function formatOf(given: z.output<typeof responseFormatSchema> | null | undefined): Format | undefined {
  if (!given || given.type === 'text') return undefined
  const base = 'Answer with one JSON object and nothing else: no words around it, no code fence.'
  if (given.type === 'json_object')
    return { json: { name: 'answer' }, instruction: base, misfit: misfitIn((value) => misfitOf(anyObject, value)) }
  const { name, description, schema } = given.json_schema
  const parsed = parse(schema)
  const what = description === undefined ? '' : ` It is: ${description}.`
  return {
    json: { name, schema },
    instruction: `${base}${what} It must fit this JSON Schema: ${JSON.stringify(schema)}`,
    misfit: misfitIn((value) => misfitOf(parsed, value)),
  }
}

/** The messages with the instruction at their head; one system message, since some models know no second. */
export function instructed(messages: readonly ChatMessage[], { instruction }: Format): ChatMessage[] {
  const [first, ...rest] = messages
  if (first?.role === 'system') return [{ role: 'system', content: `${first.content}\n\n${instruction}` }, ...rest]
  return [{ role: 'system', content: instruction }, ...messages]
}

/** Reads the answer before it is held to anything. */
const misfitIn =
  (why: (value: unknown) => string | undefined) =>
  ({ text, calls, reason }: Answer): string | undefined => {
    if (calls.length > 0) return undefined
    if (reason === 'length') return 'it was cut off at the most tokens'
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return 'it is no JSON'
    }
    return why(value)
  }

function parse(schema: Record<string, unknown>): Parsed {
  try {
    return parseJsonSchema(schema)
  } catch (cause) {
    throw unusable(cause instanceof Error ? cause.message : String(cause))
  }
}

const unusable = (why: string) =>
  new Refusal(400, 'MESSAGE_INVALID', `The request cannot be used: response_format.json_schema.schema: ${why}.`)
