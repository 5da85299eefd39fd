import { wholeBytes, wholeNumber } from './whole.js'

/** Bytes. */
export interface Memory {
  total: number
  free: number
}

/** /proc/meminfo. What the page cache holds counts as free: the kernel gives it back. */
export function parseMeminfo(text: string): Memory | undefined {
  const kilobytes = (name: string): number | undefined =>
    wholeBytes(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1], 1024)
  const total = kilobytes('MemTotal')
  const free = kilobytes('MemAvailable') ?? kilobytes('MemFree')
  return total === undefined || free === undefined ? undefined : { total, free: Math.min(total, free) }
}

/** The folder of this process in the v2 hierarchy or in v1's hierarchy of a controller, from /proc/self/cgroup. */
export function parseCgroup(text: string, controller = 'memory'): { version: 1 | 2; path: string } | undefined {
  const lines = text.split('\n').map((line) => line.split(':'))
  const own = lines.find(([, controllers]) => controllers?.split(',').includes(controller))
  if (own) return { version: 1, path: own.slice(2).join(':') }
  const unified = lines.find(([id, controllers]) => id === '0' && controllers === '')
  return unified && { version: 2, path: unified.slice(2).join(':') }
}

/**
 * A limit as memory.max or memory.limit_in_bytes states it. undefined for none: 'max', or a number no machine has (v1 writes
 * 2^63 less a page for "no limit").
 */
export function parseLimit(text: string, machine: number): number | undefined {
  const limit = wholeNumber(text.trim())
  return limit && limit < machine ? limit : undefined
}

/** What is left of the machine's memory under a limit of which `used` bytes are taken. */
export function clamp(machine: Memory, limit: number | undefined, used: number): Memory {
  if (limit === undefined) return machine
  return { total: limit, free: Math.max(0, Math.min(machine.free, limit - used)) }
}
