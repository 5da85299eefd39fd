/** Small files in one folder that are written whole and destroyed as far as a program can. */
import { randomFillSync } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { writeWhole } from '../disk.js'

export interface Shelf {
  names(): string[]
  read(name: string): Uint8Array
  /** Changes with what is there; undefined if nothing is. */
  stamp(name: string): string | undefined
  /** Whole or not at all, also after a crash. */
  write(name: string, bytes: Uint8Array): void
  /** As far as the file system lets it: overwritten, then gone. */
  destroy(name: string): void
}

export function folderShelf(folder: string): Shelf {
  const pathOf = (name: string) => join(folder, name)
  return {
    names: () => (existsSync(folder) ? readdirSync(folder).sort() : []),
    read: (name) => new Uint8Array(readFileSync(pathOf(name))),
    stamp: (name) => {
      const stat = statSync(pathOf(name), { bigint: true, throwIfNoEntry: false })
      return stat && `${stat.ino} ${stat.mtimeNs} ${stat.size}`
    },
    write: (name, bytes) => {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      writeWhole(pathOf(name), bytes)
    },
    destroy: (name) => {
      const file = openSync(pathOf(name), 'r+')
      try {
        const noise = randomFillSync(new Uint8Array(fstatSync(file).size))
        for (let at = 0; at < noise.length; ) at += writeSync(file, noise, at, noise.length - at, at)
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
      unlinkSync(pathOf(name))
      const within = openSync(folder, 'r')
      try {
        fsyncSync(within)
      } finally {
        closeSync(within)
      }
    },
  }
}

/** For an authority that lives in memory only. */
export function memoryShelf(): Shelf {
  const files = new Map<string, { bytes: Uint8Array; stamp: string }>()
  let writes = 0
  return {
    names: () => [...files.keys()].sort(),
    read: (name) => files.get(name)?.bytes ?? new Uint8Array(),
    stamp: (name) => files.get(name)?.stamp,
    write: (name, bytes) => {
      writes += 1
      files.set(name, { bytes: Uint8Array.from(bytes), stamp: String(writes) })
    },
    destroy: (name) => void files.delete(name),
  }
}
