import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Host } from '../../inference/hardware/host.js'
import { clamp, parseLimit } from '../../inference/hardware/memory.js'
import { parseNvidia } from '../../inference/hardware/nvidia.js'
import { type HardwareAdvert, hardwareAdvertSchema, readHardware } from '../../inference/hardware.js'

/** A machine whose files and commands' outputs lie in a folder. */
function recorded(machine: string, platform = 'linux', arch = 'x64'): Host {
  const read = (path: string): Promise<string | undefined> => {
    const url = new URL(`../../../test/inference/fixtures/hardware/${machine}/${path}`, import.meta.url)
    return readFile(fileURLToPath(url), 'utf8').catch(() => undefined)
  }
  return { platform, arch, file: (path) => read(`files${path}`), output: (command) => read(`commands/${command}`) }
}

async function advertOf(...machine: Parameters<typeof recorded>): Promise<HardwareAdvert> {
  return hardwareAdvertSchema.parse(await readHardware(recorded(...machine)))
}

const kB = 1024
const MiB = 1024 * 1024

describe('the hardware advert of', () => {
  it('a desktop with one RTX card', async () => {
    const { cpu, memory, accelerators } = await advertOf('desktop-rtx')
    assert.deepEqual(cpu.model, { value: 'AMD Ryzen 9 7900X 12-Core Processor', source: 'lscpu -J' })
    assert.deepEqual([cpu.threads.value, cpu.cores?.value, cpu.numaNodes?.value], [24, 12, 1])
    assert.ok(cpu.flags.value.includes('avx512_vnni') && !cpu.flags.value.includes('amx_tile'))
    assert.deepEqual(memory, { value: { total: 65512344 * kB, free: 48211200 * kB }, source: '/proc/meminfo' })
    assert.deepEqual(accelerators, [
      {
        vendor: 'nvidia',
        name: { value: 'NVIDIA GeForce RTX 4090', source: 'nvidia-smi' },
        uuid: { value: 'GPU-5f1d4f7c-0b7e-6f63-9a0e-3f4d2a1b9c11', source: 'nvidia-smi' },
        computeCapability: { value: '8.9', source: 'nvidia-smi' },
        driver: { value: '575.64.03', source: 'nvidia-smi' },
        memory: { value: { total: 24564 * MiB, free: 22810 * MiB }, source: 'nvidia-smi' },
        unifiedMemory: false,
      },
    ])
  })

  it('a DGX H100 in a container with a memory limit', async () => {
    const { cpu, memory, accelerators } = await advertOf('dgx-h100')
    assert.deepEqual([cpu.threads.value, cpu.cores?.value, cpu.numaNodes?.value], [224, 112, 2])
    assert.deepEqual(
      cpu.flags.value.filter((flag) => flag.startsWith('amx')),
      ['amx_tile', 'amx_int8', 'amx_bf16'],
    )
    assert.deepEqual(memory, {
      value: { total: 549755813888, free: 500000000000 },
      source: '/sys/fs/cgroup/memory.max',
    })
    assert.equal(accelerators.length, 8)
    assert.equal(new Set(accelerators.map(({ uuid }) => uuid?.value)).size, 8)
    assert.deepEqual(
      accelerators.map(({ memory: own }) => (own?.value.free ?? 0) / MiB).slice(0, 3),
      [81000, 80000, 79000],
    )
  })

  it('a DGX Spark, whose GPU reports no memory: it is the machine’s', async () => {
    const { cpu, accelerators } = await advertOf('dgx-spark-gb10', 'linux', 'arm64')
    assert.equal(cpu.threads.value, 20)
    assert.deepEqual(cpu.flags.value, ['asimd', 'asimdhp', 'asimddp', 'bf16', 'i8mm', 'sve', 'sve2'])
    const [gpu] = accelerators
    assert.equal(gpu?.computeCapability?.value, '12.1')
    assert.deepEqual(gpu?.memory, { value: { total: 125489508 * kB, free: 118233444 * kB }, source: '/proc/meminfo' })
    assert.equal(gpu?.unifiedMemory, true)
  })

  it('an unknown GPU that reports nothing: no memory is made up for it', async () => {
    const { cpu, accelerators } = await advertOf('unknown-gpu')
    assert.deepEqual(cpu.model, { value: 'Intel(R) Core(TM) Ultra 9 285K', source: '/proc/cpuinfo' })
    assert.deepEqual([cpu.threads.value, cpu.cores?.value], [4, 4])
    assert.equal(accelerators.length, 1)
    const [gpu] = accelerators
    assert.deepEqual(
      [gpu?.name.value, gpu?.memory, gpu?.computeCapability, gpu?.unifiedMemory],
      ['NVIDIA XQ9000', undefined, undefined, false],
    )
  })

  it('an ARM server without lscpu, in a container of cgroup v1', async () => {
    const { cpu, memory, accelerators } = await advertOf('arm-cpu', 'linux', 'arm64')
    assert.deepEqual(cpu.model, { value: 'Neoverse-N1', source: '/proc/cpuinfo' })
    assert.deepEqual([cpu.threads.value, cpu.cores], [4, undefined])
    assert.deepEqual(cpu.flags.value, ['asimd', 'asimdhp', 'asimddp'])
    assert.deepEqual(memory.value, { total: 2147483648, free: 1610612736 })
    assert.equal(memory.source, '/sys/fs/cgroup/memory/memory.limit_in_bytes')
    assert.deepEqual(accelerators, [])
  })

  it('an x86 machine with neither a GPU nor a limit', async () => {
    const { cpu, memory, accelerators } = await advertOf('x86-cpu')
    assert.equal(cpu.model.value, 'AMD EPYC')
    assert.ok(cpu.flags.value.includes('avx512_bf16'))
    assert.equal(memory.source, '/proc/meminfo')
    assert.deepEqual(accelerators, [])
  })

  it('a Mac', async () => {
    const { cpu, memory, accelerators } = await advertOf('mac-m3', 'darwin', 'arm64')
    assert.deepEqual([cpu.model.value, cpu.threads.value], ['Apple M3 Max', 16])
    assert.deepEqual(cpu.flags.value, ['asimddp', 'bf16', 'i8mm'])
    assert.deepEqual(memory.value, { total: 68719476736, free: (221034 + 1377219 + 23201 + 40213) * 16384 })
    assert.deepEqual(
      accelerators.map(({ vendor, unifiedMemory }) => [vendor, unifiedMemory]),
      [['apple', true]],
    )
  })

  it('a machine of which nothing can be read is what Node knows of this one', async () => {
    const { cpu, memory, accelerators } = await advertOf('nowhere')
    assert.deepEqual([cpu.model.source, memory.source, accelerators.length], ['node', 'node', 0])
    assert.equal(memory.value.total, totalmem())
  })

  it('this machine', async () => {
    const { cpu, memory } = hardwareAdvertSchema.parse(await readHardware())
    assert.ok(cpu.threads.value >= 1 && cpu.model.value.length > 0)
    assert.ok(memory.value.total > 0 && memory.value.free <= memory.value.total)
  })
})

describe('what tools print that is no value', () => {
  it('is no GPU', () => {
    const noise = [
      '',
      'NVIDIA-SMI has failed because it couldn’t communicate with the NVIDIA driver.',
      'No devices were found\n',
      'a, b',
    ]
    for (const text of noise) assert.deepEqual(parseNvidia(text), [])
  })

  it('is no limit', () => {
    for (const text of ['max\n', '', '9223372036854771712', '18446744073709551615', '-1', '0', 'garbage'])
      assert.equal(parseLimit(text, 16e9), undefined)
    assert.equal(parseLimit('1000000000\n', 16e9), 1e9)
  })

  it('never makes less than nothing free', () => {
    assert.deepEqual(clamp({ total: 16e9, free: 8e9 }, 1e9, 2e9), { total: 1e9, free: 0 })
  })
})
