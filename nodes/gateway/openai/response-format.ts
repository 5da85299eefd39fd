/**
 * What an answer is asked to be. The model is told in words and, where its server can hold it to them, in those of that server; what comes is checked here all
 * the same, whoever made it: an answer that does not fit is an error and never given out.
 */
import { z } from 'zod'
import type { Answer, ChatMessage, GenerateRequest } from '../../../inference/backend.js'
import { Refusal } from '../http/refusal.js'

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

/** Undefined where any text will do. Throws 400 for a schema that could not be checked whole. */
export function formatOf(given: z.output<typeof responseFormatSchema> | null | undefined): Format | undefined {
  if (!given || given.type === 'text') return undefined
  const base = 'Answer with one JSON object and nothing else: no words around it, no code fence.'
  if (given.type === 'json_object')
    return { json: { name: 'answer' }, instruction: base, misfit: misfitOf(z.record(z.string(), z.unknown())) }
  const { name, description, schema } = given.json_schema
  const what = description === undefined ? '' : ` It is: ${description}.`
  return {
    json: { name, schema },
    instruction: `${base}${what} It must fit this JSON Schema: ${JSON.stringify(schema)}`,
    misfit: misfitOf(checkOf(schema)),
  }
}

/** The messages with the instruction at their head; one system message, since some models know no second. */
export function instructed(messages: readonly ChatMessage[], { instruction }: Format): ChatMessage[] {
  const [first, ...rest] = messages
  if (first?.role === 'system') return [{ role: 'system', content: `${first.content}\n\n${instruction}` }, ...rest]
  return [{ role: 'system', content: instruction }, ...messages]
}

const misfitOf =
  (check: z.ZodType) =>
  ({ text, calls, reason }: Answer): string | undefined => {
    if (calls.length > 0) return undefined
    if (reason === 'length') return 'it was cut off at the most tokens'
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      return 'it is no JSON'
    }
    const [issue] = check.safeParse(value).error?.issues ?? []
    return issue && `${issue.path.join('.') || 'the whole'}: ${issue.message}`
  }

/** Words of JSON Schema that are checked or say nothing of the value. A pattern is left out: it would be run on this thread, however long that takes. */
const known = new Set(
  (
    '$schema $ref $defs definitions $id $comment title description default examples deprecated readOnly writeOnly type enum const anyOf oneOf allOf properties required ' +
    'additionalProperties propertyNames minProperties maxProperties items prefixItems minItems maxItems uniqueItems contains minContains maxContains minLength maxLength ' +
    'minimum maximum exclusiveMinimum exclusiveMaximum multipleOf'
  ).split(' '),
)
/** Words whose values are schemas by names that their author chose, and those whose values are data. */
const named = new Set(['properties', '$defs', 'definitions'])
const data = new Set(['enum', 'const', 'default', 'examples', 'required'])

function checkOf(schema: Record<string, unknown>): z.ZodType {
  const stray = strayWord(schema)
  if (stray !== undefined) throw unusable(`"${stray}" cannot be checked here`)
  try {
    return z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0])
  } catch (cause) {
    throw unusable(cause instanceof Error ? cause.message : String(cause))
  }
}

function strayWord(schema: unknown): string | undefined {
  if (Array.isArray(schema)) return first(schema)
  if (typeof schema !== 'object' || schema === null) return undefined
  for (const [word, value] of Object.entries(schema)) {
    if (!known.has(word)) return word
    const inner = data.has(word) ? undefined : named.has(word) ? first(Object.values(value ?? {})) : strayWord(value)
    if (inner !== undefined) return inner
  }
  return undefined
}

const first = (schemas: unknown[]): string | undefined => {
  for (const schema of schemas) {
    const stray = strayWord(schema)
    if (stray !== undefined) return stray
  }
  return undefined
}

const unusable = (why: string) =>
  new Refusal(400, 'MESSAGE_INVALID', `The request cannot be used: response_format.json_schema.schema: ${why}.`)
