/** How far a node is from the broker, there and back: said with what else it says of itself, for whoever places a question. */
import { z } from 'zod'
import type { MeshNode } from '../../mesh/index.js'

const everyMs = 5000
/** The lowest of so many: what is above it is what this process or the broker had to do meanwhile, and no part of the way. */
const kept = 5

/** Milliseconds. A node that says nothing of it, or nonsense, is as near as one can be. */
export const waySchema = z.number().nonnegative().max(60_000).catch(0)

/** As long as this process lives. `measure` rejects while there is no broker. */
export function keepWay({ directory }: Pick<MeshNode, 'directory'>, measure: () => Promise<number>): void {
  let seen: number[] = []
  const look = async (): Promise<void> => {
    const ms = await measure().catch(() => undefined)
    if (ms === undefined) return
    seen = [...seen, ms].slice(-kept)
    directory.mention({ wayMs: Math.round(10 * Math.min(...seen)) / 10 })
  }
  void look()
  setInterval(() => void look(), everyMs).unref()
}
