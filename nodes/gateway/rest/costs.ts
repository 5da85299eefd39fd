/** What the questions to models cost, of the events that the gateway holds: the newest of the trail. */
import type { z } from 'zod'
import { costOf, frontierCostOf, type Prices } from '../../../policies/prices.js'
import { sumOf, sumsBy } from '../../agents/model/cost-line.js'
import { usedSchema } from '../../agents/model/costs.js'
import type { costsSchema, SeenEvent } from './schema.js'

const bars = 24
/** Of a Date. */
const latest = 8.64e15

/** `events` are `model.used`, oldest first. */
export function costsOf(
  events: readonly SeenEvent[],
  since: string | null,
  prices: Prices,
): z.input<typeof costsSchema> {
  const used = events.flatMap(({ actor, time, facts }) => {
    const { data: each } = usedSchema.safeParse(facts)
    if (!each) return []
    const at = Date.parse(time)
    return [{ ...each, actor, at, cost: costOf(prices, each), frontier: frontierCostOf(prices, each) }]
  })
  const first = used[0]?.at ?? 0
  const width = Math.max(60_000, Math.ceil(((used.at(-1)?.at ?? 0) - first + 1) / bars))
  const spans = Math.ceil(((used.at(-1)?.at ?? first) - first + 1) / width)
  const { version, currency, source, frontier } = prices
  return {
    prices: { version, currency, source, frontier: frontier.name },
    since,
    sum: sumOf(used),
    unreadable: events.length - used.length,
    byModel: sumsBy(used, ({ model, zone }) => (zone === 'mesh' ? `${model} (mesh)` : model)),
    byActor: sumsBy(used, ({ actor }) => actor),
    byTime: Array.from({ length: used.length > 0 ? spans : 0 }, (_, index) => {
      const from = first + index * width
      const some = used.filter(({ at }) => at >= from && at < from + width)
      return {
        from: new Date(from).toISOString(),
        until: new Date(Math.min(from + width, latest)).toISOString(),
        ...sumOf(some),
      }
    }),
  }
}
