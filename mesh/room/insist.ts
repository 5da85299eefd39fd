import { ClawmeshError } from '../../policies/errors.js'

const firstAgainMs = 5
const lastAgainMs = 250

/** Tells something until it is heard, less and less often: as long as it is wanted, at most for so long, and only while trying again may help. */
export async function insist(tell: () => Promise<unknown>, isWanted: () => boolean, forMs: number): Promise<void> {
  const until = performance.now() + forMs
  for (let again = firstAgainMs; performance.now() < until && isWanted(); again = Math.min(2 * again, lastAgainMs)) {
    try {
      await tell()
      return
    } catch (error) {
      if (!ClawmeshError.from(error).retry) return
      await new Promise((resolve) => setTimeout(resolve, again).unref())
    }
  }
}
