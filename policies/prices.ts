/**
 * What a request to a model costs, by a table that its owner keeps. Pure.
 *
 *     const prices = parsePrices(readFileSync('policies/prices.yaml', 'utf8'))
 *     costOf(prices, { model: 'frontier/large', zone: 'elsewhere', usage, seconds: 2 })      // 0.0042, or undefined where it has no price
 */
import { parse } from 'yaml'
import { z } from 'zod'
import { ClawmeshError } from './errors.js'

const money = z.number().nonnegative()
const rateSchema = z.strictObject({
  /** Of one million tokens, in the currency of the table. */
  input: money,
  cached: money,
  output: money,
})
export type Rate = z.output<typeof rateSchema>

const schema = z.strictObject({
  version: z.string().min(1),
  source: z.string().min(1),
  currency: z.string().min(1),
  elsewhere: z.array(rateSchema.extend({ model: z.string().min(1) })),
  mesh: z.strictObject({ hour: money }),
  frontier: rateSchema.extend({ name: z.string().min(1) }),
})
export type Prices = z.output<typeof schema>

export interface Tokens {
  /** Of the whole prompt, cached ones too. */
  readonly promptTokens: number
  readonly cachedTokens?: number | undefined
  readonly outputTokens: number
}

export interface Priced {
  readonly model: string
  readonly zone: 'mesh' | 'elsewhere'
  readonly usage: Tokens | null
  readonly seconds: number
}

/** @throws ClawmeshError POLICY_INVALID naming field and reason */
export function parsePrices(text: string, source = 'price table'): Prices {
  const parsed = schema.safeParse(fromYaml(text, source))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw invalid(source, `${issue?.path.join('.') ?? ''} ${issue?.message ?? 'is not valid'}`)
}

/** As it was run; undefined where the table has no price for the model or nobody said how many tokens there were. */
export function costOf({ mesh, elsewhere }: Prices, { model, zone, usage, seconds }: Priced): number | undefined {
  if (zone === 'mesh') return (seconds / 3600) * mesh.hour
  const rate = elsewhere.find((each) => matches(each.model, model))
  return rate && usage ? rated(rate, usage) : undefined
}

/** What questions to a model may cost at most, that take no more than these tokens and milliseconds in all; undefined where the table has no price for the model. */
export function mostCostOf(
  { mesh, elsewhere }: Prices,
  { model, zone }: Pick<Priced, 'model' | 'zone'>,
  { tokens, ms }: { tokens: number; ms: number },
): number | undefined {
  if (zone === 'mesh') return (ms / 3_600_000) * mesh.hour
  const rate = elsewhere.find((each) => matches(each.model, model))
  return rate && (tokens * Math.max(rate.input, rate.cached, rate.output)) / 1e6
}

/** As if a frontier model had been asked; undefined where nobody said how many tokens there were. */
export const frontierCostOf = ({ frontier }: Prices, { usage }: Priced): number | undefined =>
  usage ? rated(frontier, usage) : undefined

function rated({ input, cached, output }: Rate, { promptTokens, cachedTokens = 0, outputTokens }: Tokens): number {
  // A server may say that more of the prompt was cached than there was of it: that earns nothing back.
  const known = Math.min(cachedTokens, promptTokens)
  return ((promptTokens - known) * input + known * cached + outputTokens * output) / 1e6
}

function matches(pattern: string, model: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return pattern === model
  if (!model.startsWith(first)) return false
  const last = rest.pop() ?? ''
  let at = first.length
  for (const part of rest) {
    const found = model.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return model.length - last.length >= at && model.endsWith(last)
}

function fromYaml(text: string, source: string): unknown {
  try {
    return parse(text, { uniqueKeys: true })
  } catch (cause) {
    throw invalid(source, `is not valid YAML: ${(cause as Error).message.split('\n')[0]}`)
  }
}

function invalid(source: string, reason: string): ClawmeshError {
  return new ClawmeshError('POLICY_INVALID', `${source}: ${reason}.`, {
    hint: 'Correct the field, or take policies/prices.yaml as a start.',
  })
}
