/** Has a file opened by a worker of its own, which hands it to the worker of the action that waits. launcher/hand.c is that worker. */
import type { Pool } from '../pool.js'
import { encodeHand } from '../spec.js'
import { runErrand } from './errand.js'
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

/** Resolves once it is with the action's worker. Rejects with DENIED where it is not what was asked about any more, with SANDBOX_FAILED for anything else. */
export async function handOver({ file, ...to }: HandOver, pool: Pool | undefined): Promise<void> {
  const mount = {
    access: file.access === 'write' ? 'rw' : 'r',
    kind: file.kind,
    source: file.path,
    target: file.path,
  } as const
  await runErrand(encodeHand(mount, { ...to, device: file.device, inode: file.inode }), mount, pool)
}
