/**
 * What a grant allows: what may be done, to which resources, how often, at which cost, until when, and where. Pure.
 *
 *     const terms = { may: { act: { on: ['count_lines'], times: 3 }, read: { on: ['reports/*'] } }, until: Date.now() + 60_000 }
 *     allows(terms, { can: 'act', on: 'count_lines' })       // undefined: it does
 *     beyond({ ...terms, until: terms.until + 1 }, terms)    // why it is no part of the other
 *
 * A resource is named exactly, or by its beginning and a `*`; `*` alone is all there is. What is not named may not be done.
 */
import { z } from 'zod'

export interface Ability {
  readonly on: readonly string[]
  /** How often, counted by each node at which it is used, by itself. */
  readonly times?: number | undefined
  /** What a model may be asked for in all, prompts and answers, counted in the same way. */
  readonly tokens?: number | undefined
}

export interface Terms {
  /** By what is done: `act`, `think`, `read`, … */
  readonly may: Readonly<Record<string, Ability>>
  /** Milliseconds since 1970. */
  readonly until: number
  /** The id of the one run of a node at which it may be used: what is counted there is counted in all. Anywhere if left out. */
  readonly at?: string | undefined
}

/** What somebody is to be given; what is left out is as it is for the giver. */
export type Wanted = Partial<Terms>

/** What a message asks of a grant. */
export interface Use {
  readonly can: string
  readonly on: string
  /** The most that it may cost. */
  readonly tokens?: number
}

const count = z.int().nonnegative()
const abilitySchema = z.tuple([z.string(), z.array(z.string()).max(128), count.nullable(), count.nullable()])

/** On the wire: `[[can, on, times, tokens], …], until, at`. */
export const termsSchema = z.tuple([z.array(abilitySchema).max(16), z.number(), z.string().nullable()]).transform(
  ([may, until, at]): Terms => ({
    may: Object.fromEntries(
      may.map(([can, on, times, tokens]) => [can, { on, times: times ?? undefined, tokens: tokens ?? undefined }]),
    ),
    until,
    at: at ?? undefined,
  }),
)

export const termsWire = ({ may, until, at }: Terms): z.input<typeof termsSchema> => [
  Object.entries(may).map(([can, { on, times, tokens }]) => [can, [...on], times ?? null, tokens ?? null]),
  until,
  at ?? null,
]

/** Undefined if the terms allow it; otherwise why not. Counting is not done here. */
export function allows({ may }: Terms, { can, on }: Use): string | undefined {
  const ability = abilityOf(may, can)
  if (!ability) return `it allows nobody to ${can}`
  if (ability.on.some((pattern) => isPartOf(on, pattern))) return undefined
  return `it does not allow to ${can} on ${on}, only on ${ability.on.join(', ') || 'nothing'}`
}

/** Undefined if all that the child allows its parent allows too; otherwise what goes beyond it. */
export function beyond(child: Terms, parent: Terms): string | undefined {
  if (!(child.until <= parent.until)) return `it would last until ${iso(child.until)}, and ends at ${iso(parent.until)}`
  if (parent.at !== undefined && child.at !== parent.at) return `it may be used at run ${parent.at} alone`
  for (const [can, { on, times, tokens }] of Object.entries(child.may)) {
    const given = abilityOf(parent.may, can)
    if (!given) return `it does not allow to ${can}`
    const stray = on.find((pattern) => !given.on.some((whole) => isPartOf(pattern, whole)))
    if (stray !== undefined) return `it does not allow to ${can} on ${stray}`
    if (isMore(times, given.times)) return `it allows to ${can} ${given.times} times`
    if (isMore(tokens, given.tokens)) return `it allows to ${can} for ${given.tokens} tokens`
  }
  return undefined
}

/** The parent's terms with what is wanted instead where something is; its limits stand where the wanted ones are higher. Names may still go beyond. */
export function narrowed(parent: Terms, { may = parent.may, until = parent.until, at = parent.at }: Wanted): Terms {
  const limited = Object.entries(may).map(([can, { on, times, tokens }]): [string, Ability] => {
    const given = abilityOf(parent.may, can)
    return [can, { on, times: least(times, given?.times), tokens: least(tokens, given?.tokens) }]
  })
  return { may: Object.fromEntries(limited), until: Math.min(until, parent.until), at }
}

/** Names of others than ours are looked up too: only what was said counts, nothing inherited. */
export const abilityOf = (may: Terms['may'], can: string): Ability | undefined =>
  Object.hasOwn(may, can) ? may[can] : undefined

/** A pattern, or a plain name, against the pattern that is to hold it. */
const isPartOf = (pattern: string, whole: string): boolean =>
  whole.endsWith('*') ? pattern.startsWith(whole.slice(0, -1)) : pattern === whole

const isMore = (wanted: number | undefined, given: number | undefined): boolean =>
  given !== undefined && !(wanted !== undefined && wanted <= given)

function least(wanted: number | undefined, given: number | undefined): number | undefined {
  if (wanted === undefined || given === undefined) return wanted ?? given
  return Math.min(wanted, given)
}

const iso = (time: number) => (Number.isFinite(time) ? new Date(time).toISOString() : String(time))
