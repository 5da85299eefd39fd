/** What a worker of its own does for an action that waits, and that runs nothing: launcher/hand.c opens a file, launcher/changes.c changes a name. */
import { ClawmeshError } from '../../policies/errors.js'
import { findWorker } from '../exchange.js'
import { encodeRequest, FrameReader } from '../frames.js'
import { removeIfEmpty } from '../made.js'
import type { Mount } from '../plan.js'
import type { Pool } from '../pool.js'
import { failure, isLast, madeFiles } from '../report.js'
import type { Spec } from '../spec.js'

/** It has little to do. */
const mostMs = 10_000

/** Resolves to what it has reported, once it is done. Rejects with DENIED where something is not what was asked about any more, with SANDBOX_FAILED for anything else, and where its worker was ended before it could say. */
export async function runErrand(spec: Spec, mount: Mount, pool: Pool | undefined): Promise<readonly string[]> {
  const worker = await findWorker({ pool })
  const { socket } = worker
  const report: string[] = []
  const frames = new FrameReader()
  const late = setTimeout(() => worker.kill(), mostMs)
  try {
    await new Promise<void>((settle, fail) => {
      socket.on('error', () => undefined)
      if (socket.closed) settle()
      else socket.once('close', () => settle())
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
  const failed = report.find((line) => line.startsWith('failed '))
  if (failed === undefined)
    throw new ClawmeshError('SANDBOX_FAILED', `What was allowed at ${mount.source} may have been done, or not.`, {
      hint: 'Its worker was ended from outside. Look at what is there.',
    })
  const [, stage = '', ...reason] = failed.split(' ')
  throw failure(stage, reason.join(' '))
}
