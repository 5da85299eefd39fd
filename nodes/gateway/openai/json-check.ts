/** Holds a value to a JSON Schema, word by word. Pure. */
import { deepest, isDeeper, type JsonSchema, type Parsed, type Type, type Words } from './json-schema.js'

/** A step is a schema that a value is held to, or a character, a key or a member that is looked at: all of them take less than a second. */
const mostSteps = 1_000_000
/** Schemas within schemas that are being checked at once. */
const mostNested = 500

/** Why the value does not fit, if it does not; also where that would take too long to say. */
export function misfitOf({ root, refs }: Parsed, given: unknown): string | undefined {
  if (isDeeper(given, deepest)) return `the whole: nested deeper than ${deepest}`
  const keysOf = new WeakMap<readonly unknown[], Set<string>>()
  let steps = 0
  let nested = 0
  const step = (by = 1): void => {
    steps += by
    if (steps > mostSteps) throw new TooMuch()
  }

  /** Equal for equal values, whatever the order of their keys. */
  function keyOf(value: unknown): string {
    const key = JSON.stringify(value, (_, inner: unknown) => (isObject(inner) ? sorted(inner) : inner))
    step(key.length)
    return key
  }
  function isOneOf(values: readonly unknown[], value: unknown): boolean {
    const keys = keysOf.get(values) ?? new Set(values.map(keyOf))
    keysOf.set(values, keys)
    return keys.has(keyOf(value))
  }

  const fits = (value: unknown) => (schema: JsonSchema) => check(schema, value, []) === undefined

  function check(schema: JsonSchema, value: unknown, path: readonly string[]): string | undefined {
    step()
    if (schema === true) return undefined
    if (schema === false) return told(path, 'must not be there')
    if (nested === mostNested) throw new TooMuch()
    nested += 1
    const why =
      plainly(schema, value, path) ??
      (Array.isArray(value) ? array(schema, value, path) : isObject(value) ? object(schema, value, path) : undefined) ??
      together(schema, value, path)
    nested -= 1
    return why
  }

  function plainly(words: Words, value: unknown, path: readonly string[]): string | undefined {
    const { type, enum: values } = words
    if (type !== undefined && ![type].flat().some((each) => isOf(each, value)))
      return told(path, `must be ${[type].flat().join(' or ')}`)
    if (values && !isOneOf(values, value)) return told(path, 'is none of the values of enum')
    if (words.const !== undefined && keyOf(words.const) !== keyOf(value)) return told(path, 'is not the const')
    if (typeof value === 'number') return broken(path, limitsOfNumber(words, value))
    if (typeof value !== 'string') return undefined
    step(value.length)
    return broken(path, limits(words.minLength, [...value].length, words.maxLength, 'characters'))
  }

  function array(words: Words, value: readonly unknown[], path: readonly string[]): string | undefined {
    const { prefixItems = [], items = true, contains, minContains = 1, maxContains } = words
    const unlike = () => words.uniqueItems !== true || new Set(value.map(keyOf)).size === value.length
    const held = () =>
      limits(
        minContains,
        value.filter((each) => contains && fits(each)(contains)).length,
        maxContains,
        'items that fit contains',
      )
    return (
      broken(path, limits(words.minItems, value.length, words.maxItems, 'items')) ??
      first(value, (each, index) => check(prefixItems[index] ?? items, each, [...path, String(index)])) ??
      broken(path, unlike() ? undefined : 'two items are the same') ??
      broken(path, contains === undefined ? undefined : held())
    )
  }

  function object(words: Words, value: Readonly<Record<string, unknown>>, path: readonly string[]): string | undefined {
    const { required = [], properties = {}, additionalProperties = true, propertyNames } = words
    const names = Object.keys(value)
    step(names.length + required.length)
    const missing = required.find((name) => !Object.hasOwn(value, name))
    if (missing !== undefined) return told([...path, missing], 'is missing')
    return (
      broken(path, limits(words.minProperties, names.length, words.maxProperties, 'properties')) ??
      first(names, (name) => {
        if (propertyNames !== undefined && !fits(name)(propertyNames))
          return told(path, `"${name}" is no name for a property`)
        const known = Object.hasOwn(properties, name) ? properties[name] : undefined
        if (known === undefined && additionalProperties === false)
          return told(path, `"${name}" is one property too many`)
        return check(known ?? additionalProperties, value[name], [...path, name])
      })
    )
  }

  /** Schemas that hold for the same value. */
  function together(
    { $ref, allOf = [], anyOf, oneOf }: Words,
    value: unknown,
    path: readonly string[],
  ): string | undefined {
    const target = $ref === undefined ? [] : [refs.get($ref) ?? false]
    return (
      first([...target, ...allOf], (schema) => check(schema, value, path)) ??
      broken(path, !anyOf || anyOf.some(fits(value)) ? undefined : 'fits nothing of anyOf') ??
      broken(path, !oneOf || oneOf.filter(fits(value)).length === 1 ? undefined : 'does not fit just one of oneOf')
    )
  }

  try {
    return check(root, given, [])
  } catch (cause) {
    if (cause instanceof TooMuch) return 'the whole: it would take too long to check'
    throw cause
  }
}

class TooMuch extends Error {}

function first<Each>(all: readonly Each[], why: (each: Each, index: number) => string | undefined) {
  for (const [index, each] of all.entries()) {
    const found = why(each, index)
    if (found !== undefined) return found
  }
  return undefined
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const sorted = (value: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))

const typeOf = (value: unknown) => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value)
const isOf = (type: Type, value: unknown): boolean =>
  type === 'integer' ? Number.isInteger(value) : typeOf(value) === type

function limitsOfNumber(words: Words, value: number): string | undefined {
  const { minimum = value, maximum = value, exclusiveMinimum, exclusiveMaximum, multipleOf } = words
  // JSON may write numbers that no double holds: nobody knows what a reader makes of them.
  if (!Number.isFinite(value)) return 'is too big'
  if (value < minimum || (exclusiveMinimum !== undefined && value <= exclusiveMinimum)) return 'is too small'
  if (value > maximum || (exclusiveMaximum !== undefined && value >= exclusiveMaximum)) return 'is too big'
  if (multipleOf === undefined) return undefined
  // 0.3 is a multiple of 0.1, though not of the doubles that stand for them.
  const times = value / multipleOf
  return Math.abs(times - Math.round(times)) <= Number.EPSILON * Math.abs(times)
    ? undefined
    : `is no multiple of ${multipleOf}`
}

function limits(least = 0, count: number, most = Number.POSITIVE_INFINITY, of: string): string | undefined {
  if (count < least) return `has fewer than ${least} ${of}`
  return count > most ? `has more than ${most} ${of}` : undefined
}

const told = (path: readonly string[], why: string): string => `${path.join('.') || 'the whole'}: ${why}`
const broken = (path: readonly string[], why: string | undefined) => (why === undefined ? undefined : told(path, why))
