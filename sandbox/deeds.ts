/**
 * What a program did within what it was granted, for the record: what it executed, and the files that it opened for writing, with the hashes of what they hold
 * when it has ended. Nothing of it is decided on, and there is an end to it: what is too much is counted.
 *
 *     const deeds = new Deeds()
 *     await launch(plan, { deeds })
 *     await deeds.facts() // { ran: [{ program: '/usr/bin/make', args: ['make', 'all'], times: 1 }], wrote: [{ path, bytes, sha256 }] }
 *
 * Programs are told by the kernel's own word. A file is told by the path that its open named as we looked at it: a program that races with itself may have
 * opened another one, and one that was renamed, linked or removed is told under the name that it was opened by.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Image } from './image.js'
import { findPlace } from './place.js'

export interface Ran {
  readonly program: string
  /** With its name for itself; cut where it is long. */
  readonly args: readonly string[]
  readonly times: number
}

export interface Wrote {
  readonly path: string
  /** Null where there is no plain file by the end. */
  readonly bytes: number | null
  /** In hex; null where it was not read: there is none, or it is too large. */
  readonly sha256: string | null
}

export interface DeedFacts {
  readonly ran: readonly Ran[]
  readonly wrote: readonly Wrote[]
  /** Others, of which nothing is told. */
  readonly more?: { readonly ran: number; readonly wrote: number }
}

const mostRan = 64
const mostWrote = 64
const mostText = 400
const longestPath = 1024
const mostBytes = 64 * 2 ** 20
/** Of all files of one action together. */
const mostRead = 256 * 2 ** 20

export class Deeds {
  readonly #ran = new Map<string, Ran>()
  readonly #wrote = new Set<string>()
  readonly #more = { ran: 0, wrote: 0 }

  began({ program, args: whole }: Image): void {
    const args = shortened(whole)
    const key = JSON.stringify([program, args])
    const known = this.#ran.get(key)
    if (!known && this.#ran.size >= mostRan) this.#more.ran += 1
    else this.#ran.set(key, { program, args, times: (known?.times ?? 0) + 1 })
  }

  wrote(path: string): void {
    if (this.#wrote.has(path)) return
    if (this.#wrote.size >= mostWrote || path.length > longestPath) this.#more.wrote += 1
    else this.#wrote.add(path)
  }

  /** Once nothing of the action is left. */
  async facts(): Promise<DeedFacts> {
    const wrote: Wrote[] = []
    let left = mostRead
    for (const path of this.#wrote) {
      const found = await readBack(path, Math.min(left, mostBytes))
      if (found.sha256 !== null) left -= found.bytes ?? 0
      wrote.push(found)
    }
    const { ran, wrote: others } = this.#more
    return { ran: [...this.#ran.values()], wrote, ...(ran + others > 0 && { more: this.#more }) }
  }
}

function shortened(args: readonly string[]): string[] {
  const kept: string[] = []
  let room = mostText
  for (const arg of args) {
    if (room <= 0) return [...kept, '…']
    kept.push(arg.length > room ? `${arg.slice(0, room)}…` : arg)
    room -= arg.length
  }
  return kept
}

/** Through no link, and of nothing that waits to be read. */
async function readBack(path: string, most: number): Promise<Wrote> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const { real } = await findPlace(path).catch(() => ({ real: undefined }))
  const file = real === path ? await open(path, flags).catch(() => undefined) : undefined
  try {
    const found = await file?.stat()
    if (!file || !found?.isFile()) return { path, bytes: null, sha256: null }
    if (found.size > most) return { path, bytes: found.size, sha256: null }
    const hash = createHash('sha256')
    const pieces = file.createReadStream({ autoClose: false, start: 0, end: Math.max(found.size - 1, 0) })
    for await (const piece of pieces) hash.update(piece)
    return { path, bytes: found.size, sha256: hash.digest('hex') }
  } catch {
    return { path, bytes: null, sha256: null }
  } finally {
    await file?.close().catch(() => undefined)
  }
}
