import type { HardwareAdvert } from '../../inference/hardware.js'

/** "4 x NVIDIA H100 80GB HBM3, 32 threads, 251 GB". */
export function machineWords({ cpu, memory, accelerators }: HardwareAdvert): string {
  const counted = new Map<string, number>()
  for (const { name } of accelerators) counted.set(name.value, (counted.get(name.value) ?? 0) + 1)
  const gpus = [...counted].map(([name, count]) => (count > 1 ? `${count} x ${name}` : name))
  return [...gpus, `${cpu.threads.value} threads`, `${Math.round(memory.value.total / 1e9)} GB`].join(', ')
}
