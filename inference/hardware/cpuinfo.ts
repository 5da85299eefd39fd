import { type Cpu, mattering, nameOf } from './cpu.js'

/**
 * /proc/cpuinfo, which each architecture writes in its own way: a block for each processor, or old ARM kernels what all have in common once, before or behind the processors.
 * undefined if it lists no processor.
 */
export function parseCpuinfo(text: string): Cpu | undefined {
  // With a small letter each has its number there; with a capital, old ARM kernels say what all of them are.
  const threads = text.match(/^processor([ \t]*:| \d+:)/gm)?.length
  if (threads === undefined) return undefined
  const all = (name: string): string[] =>
    [...text.matchAll(new RegExp(`^${name}[ \\t]*:(.*)`, 'gim'))].flatMap(([, value]) => value?.trim() || [])
  const names = [...all('model name'), ...all('processor')].filter((name) => !/^(\d+$|(ARMv\d|AArch64) )/i.test(name))
  const parts = all('CPU part')
  const model =
    nameOf(names) ??
    nameOf(all('CPU implementer').map((implementer, i) => armName(implementer, parts[i]))) ??
    ['uarch', 'cpu', 'vendor_id'].map((name) => nameOf(all(name))).find((name) => name !== undefined)
  return {
    model: model ?? 'unknown',
    threads,
    cores: coresOf(text),
    numaNodes: undefined,
    flags: mattering([...all('flags'), ...all('Features')]),
  }
}

function coresOf(text: string): number | undefined {
  const id = (block: string, name: string): string | undefined =>
    new RegExp(`^${name}\\s*:\\s*(\\d+)`, 'm').exec(block)?.[1]
  const blocks = text.split(/\n\s*\n/).filter((block) => id(block, 'core id') !== undefined)
  return new Set(blocks.map((block) => `${id(block, 'physical id')}/${id(block, 'core id')}`)).size || undefined
}

/** Part numbers of ARM Ltd (implementer 0x41), from their technical reference manuals. */
const armParts: Record<string, string> = {
  '0xd03': 'Cortex-A53',
  '0xd05': 'Cortex-A55',
  '0xd07': 'Cortex-A57',
  '0xd08': 'Cortex-A72',
  '0xd0b': 'Cortex-A76',
  '0xd0c': 'Neoverse-N1',
  '0xd40': 'Neoverse-V1',
  '0xd41': 'Cortex-A78',
  '0xd42': 'Cortex-A78AE',
  '0xd49': 'Neoverse-N2',
  '0xd4f': 'Neoverse-V2',
  '0xd80': 'Cortex-A520',
  '0xd83': 'Neoverse-V3AE',
  '0xd84': 'Neoverse-V3',
  '0xd85': 'Cortex-X925',
  '0xd87': 'Cortex-A725',
}

function armName(implementer: string, part: string | undefined): string {
  return (implementer === '0x41' ? armParts[part ?? ''] : undefined) ?? `implementer ${implementer} part ${part}`
}
