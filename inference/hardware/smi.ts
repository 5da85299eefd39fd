/** What AMD's and Intel's own tools say of a device, by its place on the bus: names that people know, and what the kernel does not state. */
import { z } from 'zod'
import { plain } from './fact.js'
import type { Memory } from './memory.js'
import { wholeNumber } from './whole.js'

export interface Told {
  name: string | undefined
  uuid: string | undefined
  memory: Memory | undefined
}

export const rocmArguments = ['--showproductname', '--showuniqueid', '--showbus', '--json'] as const

const rocmSchema = z.record(z.string(), z.record(z.string(), z.string()))

/** `rocm-smi … --json`: an object for each card, and one for the system. What it does not know is N/A. */
export function parseRocm(text: string): Map<string, Told> {
  const cards = Object.values(rocmSchema.safeParse(jsonOf(text)).data ?? {})
  return new Map(
    cards.flatMap((card) => {
      const said = (...names: string[]): string | undefined =>
        names.map((name) => plain(card[name] ?? '')).find((value) => value !== '' && value !== 'N/A')
      const slot = said('PCI Bus')
      if (slot === undefined) return []
      // Older versions write the second word small; where the name is not known they repeat the number of the device.
      const name = said('Card Series', 'Card series', 'Device Name')
      const known = name !== undefined && !/^0x[0-9a-f]+$/i.test(name) ? name : undefined
      return [[slot.toLowerCase(), { name: known, uuid: said('Unique ID'), memory: undefined }] as const]
    }),
  )
}

const size = z
  .union([z.string(), z.number()])
  .transform((written) => wholeNumber(`${written}`))
  .optional()
  .catch(undefined)
const words = z
  .string()
  .transform((text) => plain(text) || undefined)
  .optional()
const xpuSchema = z.object({
  device_id: z.int().nonnegative().optional().catch(undefined),
  device_name: words,
  pci_bdf_address: z.string().optional(),
  uuid: words,
  memory_physical_size_byte: size,
  memory_free_size_byte: size,
})
const xpuListSchema = z.object({ device_list: z.array(xpuSchema) })

/** `xpu-smi discovery -j`. Older versions say no memory there, but for each device alone: `id` is what it is asked for by. */
export function parseXpuList(text: string): { slot: string; id: number | undefined; told: Told }[] {
  const listed = xpuListSchema.safeParse(jsonOf(text)).data?.device_list ?? []
  return listed.flatMap((each) => {
    const { device_id: id, device_name: name, pci_bdf_address: slot, uuid } = each
    return slot === undefined ? [] : [{ slot: slot.toLowerCase(), id, told: { name, uuid, memory: xpuMemory(each) } }]
  })
}

/** `xpu-smi discovery -d ID -j`. */
export function parseXpuMemory(text: string): Memory | undefined {
  const said = xpuSchema.safeParse(jsonOf(text)).data
  return said && xpuMemory(said)
}

function xpuMemory(said: z.infer<typeof xpuSchema>): Memory | undefined {
  const { memory_physical_size_byte: total, memory_free_size_byte: free } = said
  return total && free !== undefined ? { total, free: Math.min(total, free) } : undefined
}

/** Of an answer that warnings may stand before: cards that sleep are worth one to rocm-smi. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text.slice(Math.max(0, text.search(/^\{/m))))
  } catch {
    return undefined
  }
}
