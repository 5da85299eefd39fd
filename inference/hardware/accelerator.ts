import { z } from 'zod'
import { type Fact, fact, factSchema } from './fact.js'
import { type Host, mostDevices } from './host.js'
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
  const gpus = (await listNvidia(host)).slice(0, mostDevices)
  if (gpus.length === 0) return readTegra(host, machine)
  const isDivided = gpus.some((gpu) => gpu.isDivided)
  const [list, table] = isDivided ? await Promise.all([host.output('nvidia-smi', '-L'), host.output('nvidia-smi')]) : []
  const [parts, sizes] = [parseMigList(list ?? ''), parseMigMemory(table ?? '')]
  const sizeOf = new Map(sizes.map((size) => [`${size.gpu}/${size.index}`, size]))
  const devices = gpus.flatMap((gpu): Device[] => {
    if (!gpu.isDivided) return [{ index: gpu.index, uuid: gpu.uuid, accelerator: describeNvidia(gpu, machine) }]
    return parts
      .filter((part) => part.gpu === gpu.index)
      .map(({ index, uuid, profile }) => {
        const size = sizeOf.get(`${gpu.index}/${index}`)
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
  const named = (await host.entries('/proc/driver/nvidia/gpus')).filter((name) => busPlace.test(name))
  const slots = named.sort().slice(0, mostSlots)
  const found: NvidiaGpu[] = []
  for (let at = 0; at < slots.length; at += atOnce) {
    const alone = await Promise.all(slots.slice(at, at + atOnce).map((slot) => askNvidia(host, '-i', slot)))
    found.push(...alone.flatMap((gpus) => gpus ?? []))
  }
  return found.sort((a, b) => a.index - b.index)
}

/** Such as 0000:3b:00.0. */
const busPlace = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i
/** Each is asked for by a process of its own: so many of them, and at once as many as most machines have GPUs. */
const [mostSlots, atOnce] = [64, 8]

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
  const own =
    total === undefined || free === undefined ? undefined : fact({ total, free: Math.min(total, free) }, source)
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
