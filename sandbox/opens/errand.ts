/** What a worker of its own does for an action that waits, and that runs nothing: launcher/hand.c opens a file, launcher/changes.c changes a name. */
import { findWorker } from '../exchange.js'
import { encodeRequest, FrameReader } from '../frames.js'
import { removeIfEmpty } from '../made.js'
import type { Mount } from '../plan.js'
import type { Pool } from '../pool.js'
import { failure, isLast, madeFiles } from '../report.js'
import type { Spec } from '../spec.js'

/** It has little to do. */
const mostMs = 10_000

/** Resolves to what it has reported, once it is done. Rejects with DENIED where something is not what was asked about any more, with SANDBOX_FAILED for anything else. */
export async function runErrand(spec: Spec, mount: Mount, pool: Pool | undefined): Promise<readonly string[]> {
  const worker = await findWorker({ pool })
  const { socket } = worker
  const report: string[] = []
  const frames = new FrameReader()
  const late = setTimeout(() => worker.kill(), mostMs)
  try {
    await new Promise<void>((settle, fail) => {
      socket.on('error', () => undefined)
      socket.once('close', () => settle())
      socket.on('data', (piece: Buffer) => {
        try {
          for (const { kind, bytes } of frames.read(piece)) {
            if (kind === 'report') report.push(String(bytes))
            if (isLast(report.at(-1) ?? '')) settle()
          }
        } catch (error) {
          fail(error)
        }
      })
      socket.write(encodeRequest(spec))
    })
  } finally {
    clearTimeout(late)
    socket.destroy()
  }
  if (report.some(isLast)) return report
  await Promise.all(madeFiles(report, [mount]).map(removeIfEmpty))
  const [, stage = 'hand', ...reason] = report.find((line) => line.startsWith('failed '))?.split(' ') ?? []
  throw failure(stage, reason.join(' '))
}
