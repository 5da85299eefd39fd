import { z } from 'zod'
import { type Fact, fact, factSchema } from './fact.js'
import type { Host } from './host.js'
import type { Memory } from './memory.js'
import { parseMigList, parseMigMemory } from './mig.js'
import { type NvidiaGpu, nvidiaQueries, parseNvidia, sharesMemory } from './nvidia.js'
import { parseTegra } from './tegra.js'
import { visibleOf } from './visible.js'

export const memorySchema = z.object({ total: z.number().nonnegative(), free: z.number().nonnegative() })

export const acceleratorSchema = z.object({
  /** `other`: nobody that is known here. */
  vendor: z.enum(['nvidia', 'apple', 'amd', 'intel', 'other']),
  name: factSchema(z.string()),
  /** What it is named by; its place on the bus, where it has no id of its own. */
  uuid: factSchema(z.string()).optional(),
  computeCapability: factSchema(z.string()).optional(),
  /** Its version; of a driver that has none, its name. */
  driver: factSchema(z.string()).optional(),
  /** Watts. */
  powerLimit: factSchema(z.number().positive()).optional(),
  /** A part of a GPU that is a device of its own, and its size: 1g.10gb. */
  mig: factSchema(z.string()).optional(),
  /** Bytes; left out where nothing reports it. */
  memory: factSchema(memorySchema).optional(),
  /** True: its memory is the machine's. */
  unifiedMemory: z.boolean(),
})
export type Accelerator = z.infer<typeof acceleratorSchema>

/** A device as CUDA counts them; a part of a divided GPU has no index. */
interface Device {
  index?: number
  uuid: string
  accelerator: Accelerator
}

/** What CUDA would see: divided GPUs as their parts, and of all only those that the environment leaves. */
export async function readNvidia(host: Host, machine: Fact<Memory>): Promise<Accelerator[]> {
  const gpus = await listNvidia(host)
  if (gpus.length === 0) return readTegra(host, machine)
  const isDivided = gpus.some((gpu) => gpu.isDivided)
  const [list, table] = isDivided ? await Promise.all([host.output('nvidia-smi', '-L'), host.output('nvidia-smi')]) : []
  const [parts, sizes] = [parseMigList(list ?? ''), parseMigMemory(table ?? '')]
  const devices = gpus.flatMap((gpu): Device[] => {
    if (!gpu.isDivided) return [{ index: gpu.index, uuid: gpu.uuid, accelerator: describeNvidia(gpu, machine) }]
    return parts
      .filter((part) => part.gpu === gpu.index)
      .map(({ index, uuid, profile }) => {
        const size = sizes.find((each) => each.gpu === gpu.index && each.index === index)
        const { memory: _, powerLimit: __, ...whole } = describeNvidia(gpu, machine)
        const memory = size && fact({ total: size.total, free: size.free }, 'nvidia-smi')
        const mig = fact(profile, 'nvidia-smi -L')
        return {
          uuid,
          accelerator: { ...whole, uuid: fact(uuid, 'nvidia-smi -L'), mig, ...(memory ? { memory } : {}) },
        }
      })
  })
  return visibleOf(devices, host.visibleGpus?.cuda).map(({ accelerator }) => accelerator)
}

/** One GPU that is lost makes the answer for all of them fail, and each of the others still answers for itself. */
async function listNvidia(host: Host): Promise<NvidiaGpu[]> {
  const together = await askNvidia(host)
  if (together) return together
  const slots = await host.entries('/proc/driver/nvidia/gpus')
  const alone = await Promise.all(slots.map((slot) => askNvidia(host, '-i', slot)))
  return alone.flatMap((gpus) => gpus ?? []).sort((a, b) => a.index - b.index)
}

async function askNvidia(host: Host, ...which: string[]): Promise<NvidiaGpu[] | undefined> {
  for (const query of nvidiaQueries) {
    const answer = await host.output('nvidia-smi', ...which, ...query.arguments)
    if (answer !== undefined) return parseNvidia(answer, query.fields)
  }
  return undefined
}

/** Modules whose nvidia-smi is missing or names no GPU. */
async function readTegra(host: Host, machine: Fact<Memory>): Promise<Accelerator[]> {
  const source = '/proc/device-tree/compatible'
  const tegra = parseTegra((await host.file(source)) ?? '')
  if (!tegra || host.visibleGpus?.cuda === '') return []
  const computeCapability = fact(tegra.computeCapability, source)
  return [{ vendor: 'nvidia', name: fact(tegra.chip, source), computeCapability, memory: machine, unifiedMemory: true }]
}

function describeNvidia(gpu: NvidiaGpu, machine: Fact<Memory>): Accelerator {
  const source = 'nvidia-smi'
  const { name, uuid, computeCapability, driver, powerLimit, memoryTotal: total, memoryFree: free } = gpu
  const own = total === undefined || free === undefined ? undefined : fact({ total, free }, source)
  const unifiedMemory = own === undefined && sharesMemory(name)
  const memory = own ?? (unifiedMemory ? machine : undefined)
  return {
    vendor: 'nvidia',
    name: fact(name, source),
    uuid: fact(uuid, source),
    ...(computeCapability ? { computeCapability: fact(computeCapability, source) } : {}),
    ...(driver ? { driver: fact(driver, source) } : {}),
    ...(powerLimit ? { powerLimit: fact(powerLimit, source) } : {}),
    ...(memory ? { memory } : {}),
    unifiedMemory,
  }
}
