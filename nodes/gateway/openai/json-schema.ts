/**
 * The part of JSON Schema (2020-12) that an answer is held to. Words outside it are refused, so a schema that is taken is checked whole; what it costs to check
 * is bounded, since whoever asks wrote it. No pattern is run.
 */
import { z } from 'zod'

const types = z.enum(['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'])
const count = z.int().nonnegative()
const note = z.unknown()

const plain = {
  type: z.union([types, z.array(types).min(1)]),
  enum: z.array(z.unknown()).min(1),
  const: z.unknown(),
  required: z.array(z.string()),
  minProperties: count,
  maxProperties: count,
  minItems: count,
  maxItems: count,
  uniqueItems: z.boolean(),
  minContains: count,
  maxContains: count,
  minLength: count,
  maxLength: count,
  minimum: z.number(),
  maximum: z.number(),
  exclusiveMinimum: z.number(),
  exclusiveMaximum: z.number(),
  multipleOf: z.number().positive(),
  $ref: z.string(),
  // These say nothing of the value.
  ...{ $schema: note, $comment: note, title: note, description: note, default: note, examples: note },
  ...{ deprecated: note, readOnly: note, writeOnly: note },
}
const one = z.enum(['items', 'contains', 'additionalProperties', 'propertyNames'])
const several = z.enum(['allOf', 'anyOf', 'oneOf', 'prefixItems'])
const named = z.enum(['properties', '$defs', 'definitions'])

export type Type = z.output<typeof types>
export type Words = { readonly [word in keyof typeof plain]?: z.output<(typeof plain)[word]> | undefined } & {
  readonly [word in z.output<typeof one>]?: JsonSchema | undefined
} & { readonly [word in z.output<typeof several>]?: readonly JsonSchema[] | undefined } & {
  readonly [word in z.output<typeof named>]?: Readonly<Record<string, JsonSchema>> | undefined
}
export type JsonSchema = boolean | Words

const wordsSchema: z.ZodType<Words> = z.lazy(() =>
  z
    .strictObject({
      ...plain,
      ...shape(one, schemaSchema),
      ...shape(several, z.array(schemaSchema).min(1)),
      ...shape(named, z.record(z.string(), schemaSchema)),
    })
    .partial(),
)
const schemaSchema: z.ZodType<JsonSchema> = z.lazy(() => z.union([z.boolean(), wordsSchema]))

const shape = <Word extends string, Form>(words: z.ZodEnum<{ [word in Word]: word }>, form: Form) =>
  Object.fromEntries(words.options.map((word) => [word, form])) as { [word in Word]: Form }

/** Levels of a value or a schema. */
export const deepest = 64
const mostSchemas = 2000
/** That one value is held to. */
const mostAtOnce = 500
const mostCharacters = 131_072

export interface Parsed {
  readonly root: Words
  /** Where each `$ref` leads. */
  readonly refs: ReadonlyMap<string, JsonSchema>
}

/** Throws an Error that says why, for what could not be checked whole. */
export function parseJsonSchema(given: unknown): Parsed {
  if (isDeeper(given, deepest)) throw new Error(`it is nested deeper than ${deepest}`)
  if (JSON.stringify(given).length > mostCharacters) throw new Error(`it is longer than ${mostCharacters} characters`)
  const { data: root, error } = wordsSchema.safeParse(given)
  if (!root) throw new Error(reasonOf(error.issues[0]))
  const places = new Map<string, JsonSchema>([['#', root]])
  // A map hands out what is added while it is walked.
  for (const [place, schema] of places) {
    for (const [under, inner] of innerOf(schema)) places.set(`${place}/${under}`, inner)
    if (places.size > mostSchemas) throw new Error(`it holds more than ${mostSchemas} schemas`)
  }
  const refs = new Map<string, JsonSchema>()
  for (const schema of places.values()) {
    if (schema === true || schema === false || schema.$ref === undefined) continue
    const target = places.get(schema.$ref)
    if (target === undefined) throw new Error(`"${schema.$ref}" leads to no schema of it`)
    refs.set(schema.$ref, target)
  }
  for (const schema of places.values())
    if (!isBounded(schema, refs)) throw new Error(`a value of it would be held to more than ${mostAtOnce} schemas`)
  return { root, refs }
}

/** The schemas right within one, by their JSON pointers from there. */
function innerOf(schema: JsonSchema): [string, JsonSchema][] {
  if (typeof schema === 'boolean') return []
  const tail = (name: string) => name.replaceAll('~', '~0').replaceAll('/', '~1')
  return [
    ...one.options.flatMap((word): [string, JsonSchema][] => {
      const inner = schema[word]
      return inner === undefined ? [] : [[word, inner]]
    }),
    ...[...several.options, ...named.options].flatMap((word) =>
      Object.entries(schema[word] ?? {}).map(([name, inner]): [string, JsonSchema] => [`${word}/${tail(name)}`, inner]),
    ),
  ]
}

/** Whether one value is held to few enough schemas at once. Of a `$ref` that leads back to itself there is no end. */
function isBounded(schema: JsonSchema, refs: Parsed['refs']): boolean {
  const pending = [schema]
  for (let seen = 0; pending.length > 0; seen++) {
    const next = pending.pop()
    if (seen > mostAtOnce) return false
    if (next === undefined || typeof next === 'boolean') continue
    const target = next.$ref === undefined ? undefined : refs.get(next.$ref)
    pending.push(...(next.allOf ?? []), ...(next.anyOf ?? []), ...(next.oneOf ?? []), ...(target ? [target] : []))
  }
  return true
}

export const isDeeper = (value: unknown, levels: number): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1)))

function reasonOf(issue: z.core.$ZodIssue | undefined): string {
  const inner = issue?.code === 'invalid_union' ? issue.errors.at(-1)?.[0] : undefined
  const words = inner
    ? reasonOf(inner)
    : issue?.code === 'unrecognized_keys'
      ? `"${issue.keys[0]}" cannot be checked here`
      : issue?.message
  return [...(issue?.path ?? []).map(String), words].join(': ')
}
