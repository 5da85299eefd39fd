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
  let gpu = -1
  for (const line of text.split('\n')) {
    const parent = /^GPU (\d+):/.exec(line)?.[1]
    if (parent !== undefined) gpu = Number(parent)
    const [, profile, index, uuid] = /^\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: (MIG-[^)\s]+)\)/.exec(line) ?? []
    if (gpu >= 0 && profile && index && uuid) devices.push({ gpu, index: Number(index), uuid, profile })
  }
  return devices
}

/** Bytes of a part, from the table that `nvidia-smi` prints without arguments: nothing else states them. */
export function parseMigMemory(text: string): { gpu: number; index: number; total: number; free: number }[] {
  const row = /^\|\s+(\d+)\s+\d+\s+\d+\s+(\d+)\s+\|\s+(\d+)MiB\s*\/\s*(\d+)MiB\s*\|/
  return text.split('\n').flatMap((line) => {
    const [, gpu, index, used, total] = (row.exec(line) ?? []).map(Number)
    if (gpu === undefined || index === undefined || used === undefined || total === undefined) return []
    return [{ gpu, index, total: total * 1024 * 1024, free: Math.max(0, total - used) * 1024 * 1024 }]
  })
}
