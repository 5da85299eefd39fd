import { setTimeout } from 'node:timers/promises'

/** Resolves after so many milliseconds; rejects with the reason of the signal where that comes first. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, signal ? { signal } : {}).catch((cut: unknown) => {
    throw signal?.aborted ? signal.reason : cut
  })
}
