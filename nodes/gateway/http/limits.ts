/** What a caller of the gateway may use up. */
import type { Rate } from './rate.js'

export interface GatewayLimits {
  /** Bytes of a body. */
  body: number
  /** Bytes besides, where it may hold images. */
  images: number
  /** Milliseconds in which the head of a request, and the whole of it, must have come. */
  headMs: number
  requestMs: number
  /** Milliseconds that an answer may take. */
  answerMs: number
  connections: number
  /** Of each key. */
  rate: Rate
}

export const usualLimits: GatewayLimits = {
  body: 1024 * 1024,
  images: 16 * 1024 * 1024,
  headMs: 10_000,
  requestMs: 30_000,
  answerMs: 300_000,
  connections: 512,
  rate: { burst: 60, perSecond: 10 },
}
