import { type Cpu, mostProcessors } from './cpu.js'
import type { Memory } from './memory.js'
import { wholeNumber } from './whole.js'

/** `-i`: a name that this machine does not know is passed over. Without it, one such name is a failure, and no machine knows all. */
export const sysctlArguments = [
  '-i',
  'machdep.cpu.brand_string',
  'hw.logicalcpu',
  'hw.physicalcpu',
  'hw.memsize',
  'hw.pagesize',
  'hw.optional.neon',
  'hw.optional.neon_fp16',
  'hw.optional.arm.FEAT_DotProd',
  'hw.optional.arm.FEAT_BF16',
  'hw.optional.arm.FEAT_I8MM',
  'hw.optional.arm.FEAT_SME',
] as const

/** The names that Linux gives to what Apple's switches say. */
const flagOfSwitch: Record<string, string> = {
  'hw.optional.neon': 'asimd',
  'hw.optional.neon_fp16': 'asimdhp',
  'hw.optional.arm.FEAT_DotProd': 'asimddp',
  'hw.optional.arm.FEAT_BF16': 'bf16',
  'hw.optional.arm.FEAT_I8MM': 'i8mm',
  'hw.optional.arm.FEAT_SME': 'sme',
}

/** `sysctl -i NAME…`: a line `name: value` for each name that the machine knows. */
export function parseSysctl(text: string): { cpu: Cpu; memoryTotal: number } | undefined {
  const values = new Map(
    text.split('\n').map((line) => [line.split(': ')[0] ?? '', line.slice(line.indexOf(': ') + 2)]),
  )
  const model = values.get('machdep.cpu.brand_string')
  const memoryTotal = wholeNumber(values.get('hw.memsize'))
  const threads = wholeNumber(values.get('hw.logicalcpu'), mostProcessors)
  if (model === undefined || !memoryTotal || !threads) return undefined
  const cores = wholeNumber(values.get('hw.physicalcpu'), mostProcessors) || undefined
  const flags = Object.entries(flagOfSwitch).flatMap(([name, flag]) => (values.get(name) === '1' ? [flag] : []))
  return { cpu: { model, threads, cores, numaNodes: undefined, flags }, memoryTotal }
}

/** `vm_stat`: pages that are free or can be at once. Purgeable ones are among the active and inactive. */
export function parseVmStat(text: string, memoryTotal: number): Memory | undefined {
  const pageSize = wholeNumber(/page size of (\d+) bytes/.exec(text)?.[1])
  const pages = ['free', 'inactive', 'speculative'].map(
    (kind) => wholeNumber(new RegExp(`^Pages ${kind}:\\s+(\\d+)\\.$`, 'm').exec(text)?.[1]) ?? 0,
  )
  if (!pageSize) return undefined
  return { total: memoryTotal, free: Math.min(memoryTotal, pages.reduce((sum, count) => sum + count, 0) * pageSize) }
}
