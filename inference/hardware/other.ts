import type { Accelerator } from './accelerator.js'
import { fact } from './fact.js'
import { type Host, mostDevices } from './host.js'
import { parseRocm, parseXpuList, parseXpuMemory, rocmArguments, type Told } from './smi.js'
import { listSysDevices, pciName, type SysDevice } from './sysfs.js'
import { visibleToHip } from './visible.js'

const nvidia = '0x10de'
const makers: Record<string, 'amd' | 'intel'> = { '0x1002': 'amd', '0x1022': 'amd', '0x8086': 'intel' }

/**
 * Accelerators that are not NVIDIA's: what the kernel says of each, and what the tools of AMD and Intel know better. One that nobody has heard of is advertised by what it
 * reports, if that is no more than its number.
 */
export async function readOthers(host: Host): Promise<Accelerator[]> {
  // Of NVIDIA's the tool of their driver is asked: without that driver nothing computes on them.
  const devices = (await listSysDevices(host)).filter(({ vendor }) => vendor !== nvidia)
  const made = (maker: 'amd' | 'intel'): boolean => devices.some(({ vendor }) => makers[vendor] === maker)
  const [amd, intel] = await Promise.all([
    made('amd') ? askRocm(host) : new Map<string, Told>(),
    made('intel') ? askXpu(host) : new Map<string, Told>(),
  ])
  const said = devices.map((device) => {
    const maker = makers[device.vendor]
    const slot = device.slot?.value.toLowerCase() ?? ''
    const told = maker === 'amd' ? amd.get(slot) : maker === 'intel' ? intel.get(slot) : undefined
    return { device, maker, told, id: told?.uuid ?? device.id?.value }
  })
  // What computes on a Radeon goes by its number among them; what is no GPU is none of those.
  const isHip = ({ maker, device }: (typeof said)[number]): boolean =>
    maker === 'amd' && device.driver?.value === 'amdgpu'
  const hip = visibleToHip(said.filter(isHip), host.visibleGpus ?? {})
  return Promise.all(
    [...hip, ...said.filter((each) => !isHip(each))].map(({ device, maker, told }) =>
      describe(host, device, told, maker === 'amd' ? 'rocm-smi' : 'xpu-smi'),
    ),
  )
}

async function describe(host: Host, device: SysDevice, told: Told | undefined, tool: string): Promise<Accelerator> {
  const { vendor, device: number, slot, driver, path } = device
  const from = <T>(value: T | undefined) => (value === undefined ? undefined : fact(value, tool))
  const numbered = fact(`PCI device ${vendor.slice(2)}:${number.slice(2)}`, `${path}/device`)
  const name = from(told?.name) ?? device.name ?? (await pciName(host, vendor, number)) ?? numbered
  // What names it to those who drain it: its own id, else its place on the bus, which stays what it is as long as the card is not moved.
  const uuid = from(told?.uuid) ?? device.id ?? slot
  const memory = device.memory ?? from(told?.memory)
  return {
    vendor: makers[vendor] ?? 'other',
    name,
    ...(uuid ? { uuid } : {}),
    ...(driver ? { driver } : {}),
    ...(memory ? { memory } : {}),
    unifiedMemory: false,
  }
}

async function askRocm(host: Host): Promise<Map<string, Told>> {
  return parseRocm((await host.output('rocm-smi', ...rocmArguments)) ?? '')
}

async function askXpu(host: Host): Promise<Map<string, Told>> {
  const listed = parseXpuList((await host.output('xpu-smi', 'discovery', '-j')) ?? '')
  const told = new Map<string, Told>()
  for (const { slot, id, told: said } of listed.slice(0, mostDevices)) {
    const asked = said.memory || id === undefined ? '' : await host.output('xpu-smi', 'discovery', '-d', `${id}`, '-j')
    told.set(slot, { ...said, memory: said.memory ?? parseXpuMemory(asked ?? '') })
  }
  return told
}
