import { plain } from './fact.js'
import { wholeBytes, wholeNumber } from './whole.js'

/** A part of a GPU that is one of its own to programs (Multi-Instance GPU). */
export interface MigDevice {
  /** Index of the GPU that it is a part of, and its own among that GPU's parts. */
  gpu: number
  index: number
  uuid: string
  /** Such as 1g.10gb. */
  profile: string
}

/** `nvidia-smi -L`: each GPU on a line, its parts indented below. */
export function parseMigList(text: string): MigDevice[] {
  const devices: MigDevice[] = []
  let gpu: number | undefined
  for (const line of text.split('\n')) {
    const parent = /^GPU (\d+):/.exec(line)?.[1]
    if (parent !== undefined) gpu = wholeNumber(parent)
    const [, profile, written, uuid] = /^\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: (MIG-[^)\s]+)\)/.exec(line) ?? []
    const index = wholeNumber(written)
    if (gpu === undefined || index === undefined || !profile || !uuid) continue
    devices.push({ gpu, index, uuid: plain(uuid), profile })
    if (devices.length === mostParts) break
  }
  return devices
}

/** Bytes of a part, from the table that `nvidia-smi` prints without arguments: nothing else states them. */
export function parseMigMemory(text: string): { gpu: number; index: number; total: number; free: number }[] {
  const row = /^\|\s+(\d+)\s+\d+\s+\d+\s+(\d+)\s+\|\s+(\d+)MiB\s*\/\s*(\d+)MiB\s*\|/
  return text.split('\n').flatMap((line) => {
    const [, ...written] = row.exec(line) ?? []
    const [gpu, index] = written.map((number) => wholeNumber(number))
    const [used, total] = written.slice(2).map((size) => wholeBytes(size, 1024 * 1024))
    if (gpu === undefined || index === undefined || used === undefined || total === undefined) return []
    return [{ gpu, index, total, free: Math.max(0, total - used) }]
  })
}

/** More than any machine has: a GPU has seven at most. */
const mostParts = 1024
