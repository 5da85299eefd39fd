import { z } from 'zod'

/**
 * Where a request goes. Pure: the same request, offers and random numbers give the same answer, with the reasons for it.
 *
 *     place({ zones: ['mesh'], modalities: ['text'], promptTokens: 900, outputTokens: 200 }, offers, Math.random)
 *     // { chosen: { node: 'spark-1', … }, reasons: [{ node: 'spark-1', ms: 4100, … }, { node: 'pi-3', refused: 'its memory …' }] }
 *
 * 1. An offer that fails a hard filter is never chosen, however fast it is.
 * 2. What is chosen is predicted to take at most `tolerance` times as long as the best, and no longer than the other one that it was drawn with.
 */

/** Tokens a second, within what machines do: by one that is all but none, the time of an answer would be no number, and nothing would be placed at all. */
const rateSchema = z
  .number()
  .positive()
  .overwrite((rate) => Math.min(Math.max(rate, 0.01), 1e6))

export const speedSchema = z.object({
  /** Of one prompt and of one answer alone. */
  prefill: rateSchema,
  decode: rateSchema,
  /** Of `size` answers together, where answers are computed together. */
  batch: z.object({ size: z.int().min(2), decode: rateSchema }).optional(),
})
export type Speed = z.infer<typeof speedSchema>

export const modalitySchema = z.enum(['text', 'image'])
export type Modality = z.infer<typeof modalitySchema>

/** One model on one node, as the node says it. */
export const offerSchema = z.object({
  model: z.string(),
  /** 'sha256:…' over its files; left out where nobody says. */
  digest: z.string().optional(),
  /** 'onnx', which computes on the CPU, 'openai:' and the kind of server, or 'triton:' and the dialect. */
  backend: z.string().optional(),
  modalities: z.array(modalitySchema),
  /** Set when it knows these tools and no other, and holds no conversation. */
  tools: z.array(z.string()).optional(),
  /** Set where it can be held to a bound on its thoughts; left out, it cannot. */
  boundsThought: z.boolean().optional(),
  /** Tokens of prompt and answer together; null: unknown. */
  context: z.int().positive().nullable(),
  slots: z.int().positive(),
  /** Answers under way, waiting, and the tokens of the prompts that wait. */
  running: z.int().nonnegative(),
  queued: z.int().nonnegative(),
  queuedTokens: z.int().nonnegative(),
  /** Measured at load, and learned from the answers since; left out until then. */
  speed: speedSchema.optional(),
  /** Whether any answer has had a part in it. */
  speedFrom: z.enum(['load', 'answers']).optional(),
  /** Why it would give no answer, though its node does: its server is gone, or has it no more. */
  away: z.string().optional(),
  /** Why it takes no new requests, though its node does. */
  draining: z.string().optional(),
  /** Set for a model that would have to be loaded first: bytes it takes, bytes that are free for it, milliseconds. */
  unloaded: z
    .object({
      weights: z.number().nonnegative(),
      kvBytesPerToken: z.number().nonnegative(),
      free: z.number().nonnegative(),
      loadMs: z.number().nonnegative(),
    })
    .optional(),
  /** Hashes of the blocks of tokens whose keys and values are at hand. */
  blocks: z.array(z.string()).optional(),
})
export type ModelOffer = z.infer<typeof offerSchema>

export interface Offer extends Omit<ModelOffer, 'draining'> {
  node: string
  /** Where it computes, as far as the privacy router tells places apart. */
  zone: string
  healthy: boolean
  /** Why it takes no new requests; false: it does. */
  draining: string | false
  /** Milliseconds there and back. */
  networkMs: number
}

export interface Demand {
  zones: readonly string[]
  modalities: readonly Modality[]
  /** Names of the tools that are offered with it; none: a conversation. Left out: whatever a model knows will do. */
  tools?: readonly string[]
  /** It says how long the model may think. */
  boundsThought?: boolean
  promptTokens: number
  /** How long an answer is expected to be. */
  outputTokens: number
  /** And how long it may be: what the context has to hold. As long as it is expected to be, if left out. */
  mostTokens?: number
  /** Any, if none is named. */
  models?: readonly string[]
  /** The prompt's blocks of `blockTokens` tokens, as hashes that each cover all before them. */
  blocks?: readonly string[]
  blockTokens?: number
}

/** The hard filters, in the order in which they are asked. */
export type Filter = 'zone' | 'model' | 'health' | 'drain' | 'modality' | 'backend' | 'tools' | 'context' | 'memory'

/** Why an offer was refused, and by which filter, or what it is predicted to take. Milliseconds. */
export type Reason = { node: string; model: string } & (
  | { refused: string; by: Filter }
  | { ms: number; wait: number; prefill: number; decode: number; load: number; network: number }
)

export interface Placement {
  /** undefined: no offer passes. */
  chosen: Offer | undefined
  reasons: Reason[]
}

/** An offer that is slower than the best by more than this is not worth its being less asked. */
export const tolerance = 2
/** Kept free beside a model: a tenth of it and this many bytes. */
const marginBytes = 256 * 1024 * 1024

export function place(demand: Demand, offers: readonly Offer[], random: () => number): Placement {
  const assumed = slowest(offers)
  const judged = offers.map((offer) => {
    const { node, model } = offer
    const refused = refusal(demand, offer)
    const reason: Reason = refused
      ? { node, model, ...refused }
      : { node, model, ...predict(demand, offer, offer.speed ?? assumed) }
    return { offer, reason, ms: 'ms' in reason ? reason.ms : Number.POSITIVE_INFINITY }
  })
  const best = Math.min(...judged.map(({ ms }) => ms))
  const close = judged.filter(({ ms }) => ms <= best * tolerance && ms < Number.POSITIVE_INFINITY)
  const [first, second] = draw(close, random)
  const chosen = second && first && second.ms < first.ms ? second : first
  return { chosen: chosen?.offer, reasons: judged.map(({ reason }) => reason) }
}

/** What was never measured counts as the slowest that was: it is asked when it has nothing to do, and then it is measured. */
function slowest(offers: readonly Offer[]): Speed {
  const measured = offers.flatMap(({ speed }) => (speed ? [speed] : []))
  if (measured.length === 0) return { prefill: 1000, decode: 10 }
  return {
    prefill: Math.min(...measured.map(({ prefill }) => prefill)),
    decode: Math.min(...measured.map(({ decode }) => decode)),
  }
}

/** Two different ones at random. Everybody taking the best, by what they knew a second ago, would all go to one. */
function draw<T>(items: readonly T[], random: () => number): [T | undefined, T | undefined] {
  const first = Math.floor(random() * items.length)
  const second = Math.floor(random() * (items.length - 1))
  return [items[first], items.length > 1 ? items[second < first ? second : second + 1] : undefined]
}

/** The first hard filter that the offer fails. */
function refusal(demand: Demand, offer: Offer): { refused: string; by: Filter } | undefined {
  const { zones, models, modalities, tools, promptTokens, outputTokens, mostTokens = outputTokens } = demand
  const { zone, model, healthy, draining, backend, tools: known, context, unloaded } = offer
  const no = (by: Filter, refused: string) => ({ refused, by })
  if (!zones.includes(zone)) return no('zone', `the prompt may not go to the zone ${zone}`)
  if (models && !models.includes(model)) return no('model', `it serves ${model}`)
  if (!healthy) return no('health', offer.away ?? 'it is not healthy')
  if (draining !== false) return no('drain', draining)
  const missing = modalities.find((modality) => !offer.modalities.includes(modality))
  if (missing) return no('modality', `it does not take ${missing}`)
  if (demand.boundsThought && !offer.boundsThought)
    return no('backend', `${backend ?? 'what serves it'} does not bound how long it thinks`)
  if (tools && !isKnown(tools, known))
    return no(
      'tools',
      `it knows a closed set of tools ${tools.length > 0 ? 'without all of these' : 'and holds no conversation'}`,
    )
  if (context !== null && promptTokens + mostTokens > context)
    return no('context', `its context of ${context} tokens is too short`)
  const needed = memoryNeeded(offer)
  if (unloaded && needed > unloaded.free)
    return no(
      'memory',
      `its memory of ${unloaded.free} bytes is less than the ${Math.ceil(needed)} that the model takes`,
    )
  return undefined
}

/** Whether a model can be asked with these tools: one that knows a closed set takes none beside, and no conversation. */
export const isKnown = (tools: readonly string[], known: readonly string[] | undefined): boolean =>
  known === undefined || (tools.length > 0 && tools.every((name) => known.includes(name)))

/** Weights, keys and values of all slots at full length, and the margin. */
export function memoryNeeded({ unloaded, slots, context }: Pick<ModelOffer, 'unloaded' | 'slots' | 'context'>): number {
  if (!unloaded) return 0
  const { weights, kvBytesPerToken } = unloaded
  return weights * 1.1 + slots * (context ?? 0) * kvBytesPerToken + marginBytes
}

function predict(
  demand: Demand,
  offer: Offer,
  speed: Speed,
): { ms: number; wait: number; prefill: number; decode: number; load: number; network: number } {
  const { promptTokens, outputTokens } = demand
  const { slots, running, queued, queuedTokens, unloaded, networkMs: network } = offer
  const atOnce = Math.min(slots, running + 1)
  const decode = (1000 * outputTokens) / (together(speed, atOnce) / atOnce)
  const before = Math.max(0, running + queued + 1 - slots)
  // A full house frees one slot each time that an answer ends.
  const wait = (before * decode) / slots
  const prefill = (1000 * (queuedTokens + promptTokens - held(demand, offer))) / speed.prefill
  const load = unloaded?.loadMs ?? 0
  return { ms: wait + prefill + decode + load + network, wait, prefill, decode, load, network }
}

/** Tokens a second of n answers under way: what was measured at one and at a full batch, and a straight line between. */
function together({ decode, batch }: Speed, n: number): number {
  if (!batch) return decode
  const share = Math.min(1, (n - 1) / (batch.size - 1))
  return decode + share * (batch.decode - decode)
}

/** Tokens of the prompt that need no computing: the blocks from its beginning that are at hand, but never the last token. */
function held({ promptTokens, blocks = [], blockTokens = 0 }: Demand, offer: Offer): number {
  const known = new Set(offer.blocks)
  const gap = blocks.findIndex((block) => !known.has(block))
  return Math.max(0, Math.min((gap === -1 ? blocks.length : gap) * blockTokens, promptTokens - 1))
}
