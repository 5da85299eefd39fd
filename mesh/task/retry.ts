/** How a step that may be repeated is done again, within one life of its task: a few times, each after a longer pause, at what may have passed by then. */

import { ClawmeshError } from '../../policies/errors.js'
import { pause } from './pause.js'

export interface Retries {
  /** Beside the first time. */
  times: number
  /** The first pause; each that follows is twice as long, up to `mostMs`. 100 ms and 5 s if left out. A pause is up to a quarter shorter by chance, so that many do not come back in step. */
  firstMs?: number
  mostMs?: number
  /** Ends a pause, and with it the step. */
  signal?: AbortSignal
  /** What is worth another time: what says so of itself, if left out. */
  worth?: (failure: ClawmeshError) => boolean
}

const none: Retries = { times: 0 }
const hasPassed = ({ retry }: ClawmeshError) => retry

/** `run` is told how often it was done before. Rejects with the last failure, or with the reason of the signal. */
export async function again<T>(retries: Retries | undefined, run: (before: number) => Promise<T>): Promise<T> {
  const { times, firstMs = 100, mostMs = 5000, signal, worth = hasPassed } = retries ?? none
  for (let before = 0; ; before += 1) {
    try {
      return await run(before)
    } catch (error) {
      if (before >= times || signal?.aborted || !(error instanceof ClawmeshError) || !worth(error)) throw error
      await pause(Math.min(mostMs, firstMs * 2 ** before) * (1 - Math.random() / 4), signal)
    }
  }
}
