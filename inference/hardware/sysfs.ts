import { type Fact, fact, plain } from './fact.js'
import { type Host, mostDevices } from './host.js'
import type { Memory } from './memory.js'
import { wholeNumber } from './whole.js'

/** A device that computes, as the kernel shows it to everybody: no tool of its maker is needed. */
export interface SysDevice {
  /** Of PCI, as the kernel writes them: 0x1002. */
  vendor: string
  device: string
  /** Where it is on the bus: 0000:03:00.0. */
  slot: Fact<string> | undefined
  /** Its name, such as amdgpu or xe; a kernel's own has no version. */
  driver: Fact<string> | undefined
  /** As the card says it of itself, which few do. */
  name: Fact<string> | undefined
  id: Fact<string> | undefined
  memory: Fact<Memory> | undefined
  /** Folder of these files. */
  path: string
}

/**
 * Adapters of virtual machines, by their vendor. They draw what is shown and compute no model: Red Hat (virtio, qxl), VMware, QEMU (bochs), VirtualBox, Microsoft
 * (Hyper-V).
 */
const virtual = new Set(['0x1af4', '0x1b36', '0x15ad', '0x1234', '0x80ee', '0x1414'])

/** Graphics devices that can be computed on (those with a render node: a server's own display chip has none), and devices that do nothing else. */
export async function listSysDevices(host: Host): Promise<SysDevice[]> {
  const found: SysDevice[] = []
  for (const [folder, form] of [
    ['/sys/class/drm', /^card\d+$/],
    ['/sys/class/accel', /^accel\d+$/],
  ] as const) {
    const names = (await host.entries(folder)).filter((name) => form.test(name))
    for (const name of names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))) {
      const path = `${folder}/${name}/device`
      const renders = (await host.entries(`${path}/drm`)).some((each) => each.startsWith('renderD'))
      const device = renders || folder === '/sys/class/accel' ? await readDevice(host, path) : undefined
      if (device && !virtual.has(device.vendor)) found.push(device)
      if (found.length === mostDevices) return found
    }
  }
  return found
}

async function readDevice(host: Host, path: string): Promise<SysDevice | undefined> {
  const said = async (name: string): Promise<Fact<string> | undefined> => {
    const text = plain((await host.file(`${path}/${name}`)) ?? '')
    return text ? fact(text, `${path}/${name}`) : undefined
  }
  const [vendor, device] = [await said('vendor'), await said('device')]
  const uevent = (await host.file(`${path}/uevent`)) ?? ''
  if (!vendor || !device) return undefined
  const line = (name: string): Fact<string> | undefined => {
    const value = plain(new RegExp(`^${name}=(.+)$`, 'm').exec(uevent)?.[1] ?? '')
    return value ? fact(value, `${path}/uevent`) : undefined
  }
  return {
    vendor: vendor.value,
    device: device.value,
    slot: line('PCI_SLOT_NAME'),
    driver: line('DRIVER'),
    name: await said('product_name'),
    id: await said('unique_id'),
    memory: memoryOf(await said('mem_info_vram_total'), await said('mem_info_vram_used')),
    path,
  }
}

/** amdgpu states both, in bytes. */
function memoryOf(total: Fact<string> | undefined, used: Fact<string> | undefined): Fact<Memory> | undefined {
  const [all, taken] = [wholeNumber(total?.value), wholeNumber(used?.value)]
  return total && all && taken !== undefined
    ? fact({ total: all, free: Math.max(0, all - taken) }, total.source)
    : undefined
}

/** The lists of names that systems keep of PCI devices. */
const nameLists = ['/usr/share/misc/pci.ids', '/usr/share/hwdata/pci.ids']

/** What the system's list calls a device: its maker and its own name. */
export async function pciName(host: Host, vendor: string, device: string): Promise<Fact<string> | undefined> {
  const [maker, own] = [vendor, device].map((id) => id.replace(/^0x/, ''))
  for (const path of nameLists) {
    const lines = (await host.file(path))?.split('\n') ?? []
    const at = lines.findIndex((line) => line.startsWith(`${maker}  `))
    if (at === -1) continue
    for (const line of lines.slice(at + 1)) {
      if (!/^(\t|#|$)/.test(line)) break
      if (line.startsWith(`\t${own}  `)) return fact(`${lines[at]?.slice(6)} ${line.slice(7)}`, path)
    }
  }
  return undefined
}
