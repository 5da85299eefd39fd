/** How fast a model is, as learned from its answers: an exponentially weighted mean, so that what it was measured to be at load gives way to what it is. Pure. */
import type { Speed } from './place.js'

export interface Seen {
  /** Tokens a second of a prompt that was read with nothing else under way. */
  prefill?: number
  /** Tokens a second of one answer, and how many were written beside it, itself included, on average over its time. */
  decode?: { rate: number; among: number }
  /** Where only the whole can be timed, as of a call that comes in one piece: how many times as fast it was as the speed so far would have it. */
  ratio?: number
  /** The same of the first answers, which nothing says how fast they should have been: tokens of the prompt, of the answer, and milliseconds. */
  whole?: { read: number; written: number; ms: number }
}

/** The weight of one answer. Ten of them leave a tenth of what was known before. */
const weight = 0.2
/** More than this beside it, and an answer tells of the batch; less, and it tells of one alone. */
const alone = 1.2
/** What is further off than this says more of the guess than of the machine. */
const mostRatio = 5

/** The speed after one more answer. What was never measured begins with the first that is seen; `slots` is how many answers go together at most. */
export function learned(speed: Speed | undefined, seen: Seen, slots: number): Speed | undefined {
  const { prefill, decode, ratio, whole } = sensible(seen)
  if (!speed) {
    if (prefill === undefined || decode === undefined) return whole && guessed(whole)
    return { prefill, decode: decode.among > alone ? decode.rate * decode.among : decode.rate }
  }
  if (ratio !== undefined) return scaled(speed, mixed(1, Math.min(mostRatio, Math.max(1 / mostRatio, ratio)), weight))
  const next = { ...speed, prefill: mixed(speed.prefill, prefill, weight) }
  if (!decode) return next
  if (decode.among <= alone || slots < 2) return { ...next, decode: mixed(speed.decode, decode.rate, weight) }
  const size = speed.batch?.size ?? slots
  const share = Math.min(1, (decode.among - 1) / (size - 1))
  // Where the line from one answer to a full batch must end to pass through what was seen. Far from the end it tells little of it.
  const end = speed.decode + (decode.rate * decode.among - speed.decode) / share
  const batch = mixed(speed.batch?.decode ?? speed.decode, Math.max(decode.rate, end), weight * share)
  return { ...next, batch: { size, decode: batch } }
}

/** Tokens a second that no machine reads, or writes in one answer: servers count as they like, and what is sent at once may have been ready long before. */
const most = { prefill: 1_000_000, decode: 20_000 }

function sensible(seen: Seen): Seen {
  const { prefill, decode } = seen
  return {
    ...seen,
    ...(prefill === undefined ? {} : { prefill: Math.min(most.prefill, prefill) }),
    ...(decode ? { decode: { ...decode, rate: Math.min(most.decode, decode.rate) } } : {}),
  }
}

/** What is read is usually as many times as fast as what is written. */
const usualShare = 100

/** That by which the whole took as long as it did; answers from here on say more. */
function guessed({ read, written, ms }: NonNullable<Seen['whole']>): Speed {
  const decode = Math.min(most.decode, (1000 * (written + read / usualShare)) / ms)
  return { prefill: decode * usualShare, decode }
}

function scaled({ prefill, decode, batch }: Speed, by: number): Speed {
  const whole = { prefill: prefill * by, decode: decode * by }
  return batch ? { ...whole, batch: { ...batch, decode: batch.decode * by } } : whole
}

function mixed(known: number, seen: number | undefined, share: number): number {
  return seen === undefined ? known : known + share * (seen - known)
}
