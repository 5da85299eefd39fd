/** How busy a node's machine is, and how far its audit trail is behind: said again every few seconds, with what else the node says of itself. */
import { freemem, loadavg } from 'node:os'
import { z } from 'zod'
import type { MeshNode } from '../../mesh/index.js'

const everyMs = 5000

export const loadSchema = z.object({
  /** Processes that run or wait to, for each thread of the machine, over the last minute. */
  cpu: z.number(),
  /** Bytes. */
  memoryFree: z.number(),
})

/** As long as this process lives. */
export function keepLoad({ directory, audit }: MeshNode, threads: number): void {
  const say = () => {
    const cpu = Math.round(((loadavg()[0] ?? 0) / threads) * 100) / 100
    directory.mention({ load: { cpu, memoryFree: freemem() }, auditLag: audit.lag })
  }
  say()
  setInterval(say, everyMs).unref()
}
