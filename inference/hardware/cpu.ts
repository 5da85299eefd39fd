import { z } from 'zod'

/** A processor as its machine reports it. `threads` counts what the system can schedule on. */
export interface Cpu {
  model: string
  threads: number
  cores: number | undefined
  numaNodes: number | undefined
  /** The flags of `matteringFlags` that it has, in their order. */
  flags: string[]
}

/** What decides how fast a model runs on a processor: x86 vector and matrix extensions, then ARM's. */
export const matteringFlags: readonly string[] = [
  ...['avx', 'avx2', 'fma', 'f16c', 'avx512f', 'avx512bw', 'avx512_vnni', 'avx512_bf16', 'avx512_fp16', 'avx_vnni'],
  ...['amx_tile', 'amx_int8', 'amx_bf16'],
  ...['asimd', 'asimdhp', 'asimddp', 'bf16', 'i8mm', 'sve', 'sve2', 'sme'],
]

const lscpuSchema = z.object({ lscpu: z.array(z.unknown()) })
const rowSchema = z.object({ field: z.string(), data: z.string().nullish(), children: z.array(z.unknown()).optional() })

/** `lscpu -J`, of any util-linux: newer ones nest the rows. undefined for what is not that. */
export function parseLscpu(text: string): Cpu | undefined {
  const rows = [...rowsOf(parseJson(text))]
  const fields = new Map(rows)
  const number = (field: string): number | undefined => wholeNumber(fields.get(field))
  const threads = number('CPU(s)')
  const model = fields.get('Model name')
  if (threads === undefined || model === undefined) return undefined
  return {
    model: model === '-' ? (fields.get('Vendor ID') ?? 'unknown') : model,
    threads,
    cores: coresOf(rows),
    numaNodes: number('NUMA node(s)'),
    flags: mattering(fields.get('Flags') ?? ''),
  }
}

/** /proc/cpuinfo of x86 and ARM. undefined if it lists no processor. */
export function parseCpuinfo(text: string): Cpu | undefined {
  const processors = text.split(/\n\s*\n/).filter((block) => /^processor\s*:/m.test(block))
  const [first] = processors
  if (first === undefined) return undefined
  const field = (name: string): string | undefined => new RegExp(`^${name}\\s*:\\s*(.+)$`, 'm').exec(first)?.[1]?.trim()
  const cores = new Set(processors.map((block) => `${idOf(block, 'physical id')}/${idOf(block, 'core id')}`))
  return {
    model: field('model name') ?? armName(field('CPU implementer'), field('CPU part')),
    threads: processors.length,
    cores: idOf(first, 'core id') === undefined ? undefined : cores.size,
    numaNodes: undefined,
    flags: mattering(field('flags') ?? field('Features') ?? ''),
  }
}

/** Kinds of core that a machine mixes are listed one behind the other, each with its own counts. */
function coresOf(rows: readonly [string, string][]): number | undefined {
  const counts = (...fields: string[]): number[] =>
    rows.flatMap(([field, data]) => (fields.includes(field) ? [wholeNumber(data) ?? Number.NaN] : []))
  const groups = counts('Socket(s)', 'Cluster(s)')
  const sum = counts('Core(s) per socket', 'Core(s) per cluster').reduce(
    (total, each, i) => total + each * (groups[i] ?? 1),
    0,
  )
  return sum > 0 ? sum : undefined
}

function* rowsOf(json: unknown): Iterable<[string, string]> {
  const top = lscpuSchema.safeParse(json).data?.lscpu
  for (const row of top ?? []) yield* flatten(row)
}

function* flatten(value: unknown): Iterable<[string, string]> {
  const { data: row } = rowSchema.safeParse(value)
  if (!row) return
  yield [row.field.replace(/:$/, ''), row.data ?? '']
  for (const child of row.children ?? []) yield* flatten(child)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function mattering(flags: string): string[] {
  const has = new Set(flags.split(/\s+/))
  return matteringFlags.filter((flag) => has.has(flag))
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

function idOf(block: string, name: string): string | undefined {
  return new RegExp(`^${name}\\s*:\\s*(\\d+)`, 'm').exec(block)?.[1]
}

/** Part numbers of ARM Ltd (implementer 0x41), from their technical reference manuals. */
const armParts: Record<string, string> = {
  '0xd08': 'Cortex-A72',
  '0xd0b': 'Cortex-A76',
  '0xd0c': 'Neoverse-N1',
  '0xd40': 'Neoverse-V1',
  '0xd42': 'Cortex-A78AE',
  '0xd49': 'Neoverse-N2',
  '0xd4f': 'Neoverse-V2',
  '0xd85': 'Cortex-X925',
  '0xd87': 'Cortex-A725',
}

function armName(implementer: string | undefined, part: string | undefined): string {
  if (implementer === undefined || part === undefined) return 'unknown'
  return (implementer === '0x41' ? armParts[part] : undefined) ?? `implementer ${implementer} part ${part}`
}
