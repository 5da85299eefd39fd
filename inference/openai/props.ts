import { z } from 'zod'
import { Exchange } from './exchange.js'

/** More at once than any is started for. */
const mostSlots = 256

/** What of it makes no sense is left out, and the rest is taken. */
const propsSchema = z.object({
  total_slots: z
    .int()
    .positive()
    .transform((slots) => Math.min(slots, mostSlots))
    .optional()
    .catch(undefined),
  default_generation_settings: z
    .object({ n_ctx: z.int().positive().optional().catch(undefined) })
    .optional()
    .catch(undefined),
})

/**
 * What llama.cpp was started with, which its list of models does not say: answers side by side, and the context that each has at most, for whether they share it (`--kv-unified`)
 * it tells nobody. Nothing, where it does not say: older ones, those that serve many models, and those of which nobody may ask.
 */
export async function propsOf(base: string, ms: number): Promise<{ slots?: number; context?: number }> {
  const exchange = new Exchange(`${base.replace(/\/v1$/, '')}/props`, { silence: ms, total: ms })
  try {
    const text = await exchange.text(await exchange.open({ method: 'GET' }), 1_000_000)
    const { total_slots: slots, default_generation_settings: { n_ctx: context } = {} } = propsSchema.parse(
      JSON.parse(text),
    )
    return { ...(slots ? { slots } : {}), ...(context ? { context } : {}) }
  } catch {
    return {}
  } finally {
    exchange.close()
  }
}
