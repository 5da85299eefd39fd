/**
 * Has the authority vouch for the trail of a mesh that runs, by the clock: what stands behind the last checkpoint could be cut off together with the chain files, and
 * nobody would see it. All of the trail is verified each time. So a process of its own does it (`vouch.ts`), which ends with this one, and rests for twenty times as long as
 * it took.
 */
import { fork } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { AppendLog } from '../../mesh/transport/transport.js'
import { ClawmeshError } from '../../policies/errors.js'

const entry = fileURLToPath(new URL('./vouch.js', import.meta.url))
const hourMs = 3_600_000
const restsTimes = 20

/** What `vouch.ts` says at its end; undefined: a checkpoint was added. */
export const vouchedSchema = z.object({ fault: z.string().optional() })
export type Vouched = z.output<typeof vouchedSchema>

export interface VouchingOptions {
  /** The data folder. */
  data: string
  /** The audit stream: one that has not grown is not vouched for again. */
  log: Pick<AppendLog, 'last'>
  progress: (text: string) => void
  everyMs?: number | undefined
}

export interface Vouching {
  /** Resolves when the process that is under way, if there is one, has ended. */
  close(): Promise<void>
}

export function keepVouching({ data, log, progress, everyMs = hourMs }: VouchingOptions): Vouching {
  const stop = new AbortController()
  const { signal } = stop
  const keep = async () => {
    for (let vouched = 0, tookMs = 0; ; ) {
      await pause(Math.max(everyMs, restsTimes * tookMs), undefined, { signal, ref: false })
      // A broker that is away comes back.
      const last = await log.last().catch(() => vouched)
      if (last === vouched) continue
      signal.throwIfAborted()
      const began = performance.now()
      const fault = await vouch(data, signal)
      tookMs = performance.now() - began
      if (fault === undefined) vouched = last
      else if (!signal.aborted) progress(`no checkpoint was added: ${fault}`)
    }
  }
  const kept = keep().catch((error: unknown) => {
    if (!signal.aborted) progress(`no more checkpoints are added: ${ClawmeshError.from(error).message}`)
  })
  return {
    close: () => {
      stop.abort()
      return kept
    },
  }
}

/** Resolves to why there is no checkpoint, when the process has ended. */
function vouch(data: string, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    // A session of its own: Ctrl-C at the terminal is for us, who end it.
    const child = fork(entry, [data], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], detached: true })
    const end = () => child.kill('SIGKILL')
    let said: Vouched = { fault: 'the process that verifies it ended before it had' }
    child.on('message', (message) => {
      said = vouchedSchema.safeParse(message).data ?? said
    })
    const settle = (fault: string | undefined) => {
      signal.removeEventListener('abort', end)
      resolve(fault)
    }
    child.once('error', (error) => settle(error.message))
    child.once('exit', () => settle(said.fault))
    signal.addEventListener('abort', end, { once: true })
  })
}
