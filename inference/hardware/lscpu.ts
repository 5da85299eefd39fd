import { z } from 'zod'
import { type Cpu, mattering, mostProcessors, nameOf } from './cpu.js'
import { wholeNumber } from './whole.js'

const lscpuSchema = z.object({ lscpu: z.array(z.unknown()) })
const rowSchema = z.object({ field: z.string(), data: z.string().nullish(), children: z.array(z.unknown()).optional() })

/** `lscpu -J`, of any util-linux: newer ones nest the rows. undefined for what is not that, and for a machine that it cannot name. */
export function parseLscpu(text: string): Cpu | undefined {
  const rows = [...rowsOf(parseJson(text))]
  const all = (field: string): string[] => rows.flatMap(([each, data]) => (each === field && data ? [data] : []))
  const number = (field: string): number | undefined => wholeNumber(all(field)[0], mostProcessors)
  const threads = counted(all('On-line CPU(s) list')[0] ?? '') ?? number('CPU(s)')
  const model = nameOf(all('Model name').filter((name) => name !== '-')) ?? all('Vendor ID')[0]
  if (!threads || model === undefined) return undefined
  const nodes = rows.filter(([field]) => /^NUMA node\d+ CPU\(s\)$/.test(field))
  return {
    model,
    threads,
    cores: coresOf(rows, threads),
    numaNodes: nodes.filter(([, data]) => data).length || number('NUMA node(s)'),
    flags: mattering(all('Flags')),
  }
}

/** How many are in a list such as 0-5,48-53. */
function counted(list: string): number | undefined {
  let sum = 0
  for (const range of list.split(',')) {
    const ends = range.split('-').map((end) => wholeNumber(end, mostProcessors))
    const [from, to = from] = ends
    if (ends.length > 2 || ends.includes(undefined) || from === undefined || to === undefined || to < from)
      return undefined
    sum += to - from + 1
  }
  return sum <= mostProcessors ? sum : undefined
}

/**
 * Kinds of core that a machine mixes are listed one behind the other, each with its own counts: so many in a socket or in a cluster, and so many of these; a mainframe's
 * sockets stand in books, and those in drawers. More cores than threads are places for cores, not cores.
 */
function coresOf(rows: readonly [string, string][], threads: number): number | undefined {
  const kinds: number[] = []
  let groups = /^$/
  for (const [field, data] of rows) {
    const number = wholeNumber(data, mostProcessors) ?? Number.NaN
    const [, group] = /^Core\(s\) per (socket|cluster)$/.exec(field) ?? []
    if (group) {
      kinds.push(number)
      groups = group === 'cluster' ? /^Cluster\(s\)$/ : /^(Socket|Book|Drawers?)\(s\)( per (book|drawer))?$/
    } else if (groups.test(field)) kinds.push((kinds.pop() ?? Number.NaN) * number)
  }
  const sum = kinds.reduce((total, kind) => total + kind, 0)
  return sum > 0 && sum <= threads ? sum : undefined
}

function* rowsOf(json: unknown): Iterable<[string, string]> {
  const top = lscpuSchema.safeParse(json).data?.lscpu
  for (const row of top ?? []) yield* flatten(row, 0)
}

function* flatten(value: unknown, depth: number): Iterable<[string, string]> {
  const { data: row } = rowSchema.safeParse(value)
  if (!row || depth > deepest) return
  yield [row.field.replace(/:$/, ''), row.data ?? '']
  for (const child of row.children ?? []) yield* flatten(child, depth + 1)
}

/** How deep rows are looked for; util-linux nests them three deep. */
const deepest = 16

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
