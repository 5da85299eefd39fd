import { cpus, freemem, totalmem } from 'node:os'
import { z } from 'zod'
import { type Accelerator, acceleratorSchema, memorySchema, readNvidia } from './hardware/accelerator.js'
import { parseSysctl, parseVmStat, sysctlArguments } from './hardware/apple.js'
import type { Cpu } from './hardware/cpu.js'
import { parseCpuinfo } from './hardware/cpuinfo.js'
import { type Fact, fact, factSchema, plain } from './hardware/fact.js'
import { type Host, mostDevices, thisHost } from './hardware/host.js'
import { oneLook } from './hardware/look.js'
import { parseLscpu } from './hardware/lscpu.js'
import { clamp, type Memory, parseCgroup, parseLimit, parseMeminfo } from './hardware/memory.js'
import { readOthers } from './hardware/other.js'
import { parseQuota } from './hardware/quota.js'
import { wholeNumber } from './hardware/whole.js'

/** What a machine has to run models on, each fact with where it was read. What nothing reports is left out, never guessed. */
export const hardwareAdvertSchema = z.object({
  platform: z.string(),
  arch: z.string(),
  /** What the device tree calls the machine. */
  board: factSchema(z.string()).optional(),
  cpu: z.object({
    model: factSchema(z.string()),
    threads: factSchema(z.int().positive()),
    cores: factSchema(z.int().positive()).optional(),
    numaNodes: factSchema(z.int().positive()).optional(),
    flags: factSchema(z.array(z.string())),
    /** Processors' worth of time that the control group gives, if that is less than the machine has. */
    quota: factSchema(z.number().positive()).optional(),
  }),
  /** Bytes, with the limit of the control group if that is lower than the machine's. */
  memory: factSchema(memorySchema),
  accelerators: z.array(acceleratorSchema),
})
export type HardwareAdvert = z.infer<typeof hardwareAdvertSchema>

export async function readHardware(looked: Host = thisHost): Promise<HardwareAdvert> {
  const host = oneLook(looked)
  const { platform, arch } = host
  if (platform === 'darwin') return { platform, arch, ...(await readApple(host)) }
  const [cpu, machine, tree] = await Promise.all([
    readCpu(host),
    readMemory(host),
    host.file('/proc/device-tree/model'),
  ])
  const [nvidia, others, quota] = await Promise.all([
    readNvidia(host, machine.whole),
    readOthers(host),
    readQuota(host, cpu.value.threads),
  ])
  const board = plain(tree ?? '')
  return {
    platform,
    arch,
    ...(board ? { board: fact(board, '/proc/device-tree/model') } : {}),
    cpu: { ...describeCpu(cpu), ...(quota ? { quota } : {}) },
    memory: machine.limited,
    accelerators: [...nvidia, ...others].slice(0, mostDevices),
  }
}

async function readCpu(host: Host): Promise<Fact<Cpu>> {
  const [lscpu, cpuinfo] = await Promise.all([host.output('lscpu', '-J'), host.file('/proc/cpuinfo')])
  const fromLscpu = parseLscpu(lscpu ?? '')
  if (fromLscpu) return fact(fromLscpu, 'lscpu -J')
  const fromCpuinfo = parseCpuinfo(cpuinfo ?? '')
  return fromCpuinfo ? fact(fromCpuinfo, '/proc/cpuinfo') : nodeCpu()
}

function nodeCpu(): Fact<Cpu> {
  const listed = cpus()
  const [first] = listed
  const threads = Math.max(1, listed.length)
  return fact(
    { model: first?.model.trim() ?? 'unknown', threads, cores: undefined, numaNodes: undefined, flags: [] },
    'node',
  )
}

function describeCpu({ value, source }: Fact<Cpu>): HardwareAdvert['cpu'] {
  const { model, threads, cores, numaNodes, flags } = value
  return {
    model: fact(model, source),
    threads: fact(threads, source),
    ...(cores ? { cores: fact(cores, source) } : {}),
    ...(numaNodes ? { numaNodes: fact(numaNodes, source) } : {}),
    flags: fact(flags, source),
  }
}

interface MachineMemory {
  whole: Fact<Memory>
  /** Under the limit of the control group. */
  limited: Fact<Memory>
}

async function readMemory(host: Host): Promise<MachineMemory> {
  const meminfo = parseMeminfo((await host.file('/proc/meminfo')) ?? '')
  const whole = meminfo ? fact(meminfo, '/proc/meminfo') : fact({ total: totalmem(), free: freemem() }, 'node')
  const group = parseCgroup((await host.file('/proc/self/cgroup')) ?? '')
  let limited = whole
  for (const folder of group ? foldersOf(group) : []) {
    const [limitFile, usedFile] = group?.version === 1 ? v1Files : v2Files
    const limit = parseLimit((await host.file(`${folder}/${limitFile}`)) ?? '', limited.value.total)
    if (limit === undefined) continue
    const used = wholeNumber((await host.file(`${folder}/${usedFile}`))?.trim()) ?? 0
    limited = fact(clamp(limited.value, limit, used), `${folder}/${limitFile}`)
  }
  return { whole, limited }
}

const v1Files = ['memory.limit_in_bytes', 'memory.usage_in_bytes'] as const
const v2Files = ['memory.max', 'memory.current'] as const

/** A limit binds all groups below it. In a container the path is the host's, and the mount shows the own group alone. */
function foldersOf({ version, path }: { version: 1 | 2; path: string }, controller = 'memory'): string[] {
  const root = version === 1 ? `/sys/fs/cgroup/${controller}` : '/sys/fs/cgroup'
  const parts = path.split('/').filter((part) => part !== '' && part !== '..')
  return [root, ...parts.map((_, i) => `${root}/${parts.slice(0, i + 1).join('/')}`)]
}

async function readQuota(host: Host, threads: number): Promise<Fact<number> | undefined> {
  const group = parseCgroup((await host.file('/proc/self/cgroup')) ?? '', 'cpu')
  let least: Fact<number> | undefined
  for (const folder of group ? foldersOf(group, 'cpu') : []) {
    const [given = '', every = ''] =
      group?.version === 1
        ? [await host.file(`${folder}/cpu.cfs_quota_us`), await host.file(`${folder}/cpu.cfs_period_us`)]
        : ((await host.file(`${folder}/cpu.max`)) ?? '').split(' ')
    const quota = parseQuota(given, every, least?.value ?? threads)
    if (quota !== undefined) least = fact(quota, `${folder}/${group?.version === 1 ? 'cpu.cfs_quota_us' : 'cpu.max'}`)
  }
  return least
}

async function readApple(host: Host): Promise<Pick<HardwareAdvert, 'cpu' | 'memory' | 'accelerators'>> {
  const [sysctl, vmStat] = await Promise.all([host.output('sysctl', ...sysctlArguments), host.output('vm_stat')])
  const machine = parseSysctl(sysctl ?? '')
  const cpu = machine ? fact(machine.cpu, 'sysctl') : nodeCpu()
  const counted = machine && parseVmStat(vmStat ?? '', machine.memoryTotal)
  const memory = counted ? fact(counted, 'sysctl, vm_stat') : fact({ total: totalmem(), free: freemem() }, 'node')
  const name = fact(cpu.value.model, cpu.source)
  const gpu: Accelerator = { vendor: 'apple', name, memory, unifiedMemory: true }
  return { cpu: describeCpu(cpu), memory, accelerators: host.arch === 'arm64' ? [gpu] : [] }
}

/** Bytes that are free on this machine now, within the limit of the control group. */
export async function readFreeMemory(host: Host = thisHost): Promise<number> {
  if (host.platform === 'darwin') return (await readApple(host)).memory.value.free
  return (await readMemory(host)).limited.value.free
}
