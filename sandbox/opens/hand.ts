/** Has a file opened by a worker of its own, which hands it to the worker of the action that waits. launcher/hand.c is that worker. */

import { findWorker } from '../exchange.js'
import { encodeRequest, FrameReader } from '../frames.js'
import { removeIfEmpty } from '../made.js'
import type { Pool } from '../pool.js'
import { failure, isLast, madeFiles } from '../report.js'
import { encodeHand } from '../spec.js'
import type { WantedFile } from './wanted.js'

export interface HandOver {
  /** Of the action's worker. */
  readonly door: string
  /** Of the open that waits there. */
  readonly id: number
  readonly file: WantedFile
  readonly flags: number
  /** Of a new file. */
  readonly mode: number
}

/** It has nothing to do but to open one file. */
const mostMs = 10_000

/** Resolves once it is with the action's worker. Rejects with DENIED where it is not what was asked about any more, with SANDBOX_FAILED for anything else. */
export async function handOver({ file, ...to }: HandOver, pool: Pool | undefined): Promise<void> {
  const mount = {
    access: file.access === 'write' ? 'rw' : 'r',
    kind: file.kind,
    source: file.path,
    target: file.path,
  } as const
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
      socket.write(encodeRequest(encodeHand(mount, { ...to, device: file.device, inode: file.inode })))
    })
  } finally {
    clearTimeout(late)
    socket.destroy()
  }
  if (report.some(isLast)) return
  await Promise.all(madeFiles(report, [mount]).map(removeIfEmpty))
  const [, stage = 'hand', ...reason] = report.find((line) => line.startsWith('failed '))?.split(' ') ?? []
  throw failure(stage, reason.join(' '))
}
