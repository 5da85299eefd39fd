import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseCpuinfo } from '../../inference/hardware/cpuinfo.js'
import type { Host } from '../../inference/hardware/host.js'
import { parseLscpu } from '../../inference/hardware/lscpu.js'
import { clamp, parseLimit } from '../../inference/hardware/memory.js'
import { parseNvidia } from '../../inference/hardware/nvidia.js'
import { readOthers } from '../../inference/hardware/other.js'
import { parseQuota } from '../../inference/hardware/quota.js'
import { parseRocm, parseXpuList, parseXpuMemory } from '../../inference/hardware/smi.js'
import type { VisibleGpus } from '../../inference/hardware/visible.js'
import { type HardwareAdvert, hardwareAdvertSchema, readHardware } from '../../inference/hardware.js'
import { cpuinfo, lscpu } from './printed.js'

/** A machine whose files and commands' outputs lie in a folder. */
function recorded(machine: string, platform = 'linux', arch = 'x64'): Host {
  const at = (path: string): string =>
    fileURLToPath(new URL(`../../../test/inference/fixtures/hardware/${machine}/${path}`, import.meta.url))
  const read = (path: string): Promise<string | undefined> => readFile(at(path), 'utf8').catch(() => undefined)
  // nvidia-smi is asked for columns, for a list, and for its table; xpu-smi for all devices, and for one by its number.
  const asked = (command: string, [first, ...more]: string[]): string => {
    if (command === 'xpu-smi') return more[0] === '-d' ? `${command} ${more[1]}` : command
    return command !== 'nvidia-smi' || more.length > 0 ? command : `${command} ${first ?? '(table)'}`
  }
  const output = (command: string, ...args: string[]) => read(`commands/${asked(command, args)}`)
  const entries = (folder: string) => readdir(at(`files${folder}`)).catch(() => [])
  return { platform, arch, file: (path) => read(`files${path}`), entries, output }
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
        powerLimit: { value: 450, source: 'nvidia-smi' },
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
    assert.deepEqual([cpu.model.value, cpu.threads.value, cpu.cores?.value], ['Cortex-X925 + Cortex-A725', 20, 20])
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

  it('an accelerator whose memory is a number that no memory has: none is said', async () => {
    const most = '18446744073709551615'
    const files: Record<string, string> = {
      vendor: '0x1002',
      device: '0x744c',
      mem_info_vram_total: most,
      mem_info_vram_used: '0',
    }
    const [gpu] = await readOthers({
      ...{ platform: 'linux', arch: 'x64', output: async () => undefined },
      file: async (path) => files[path.split('/').at(-1) ?? ''],
      entries: async (folder) =>
        folder === '/sys/class/drm' ? ['card0'] : folder.endsWith('/drm') ? ['renderD128'] : [],
    })
    assert.deepEqual([gpu?.vendor, gpu?.memory], ['amd', undefined])
    const said = { memory_physical_size_byte: most, memory_free_size_byte: '1' }
    assert.equal(parseXpuMemory(JSON.stringify(said)), undefined)
  })

  it('a Mac', async () => {
    const { cpu, memory, accelerators } = await advertOf('mac-m3', 'darwin', 'arm64')
    assert.deepEqual([cpu.model.value, cpu.threads.value], ['Apple M3 Max', 16])
    assert.deepEqual(cpu.flags.value, ['asimddp', 'bf16', 'i8mm'])
    assert.deepEqual(memory.value, { total: 68719476736, free: (221034 + 1377219 + 23201) * 16384 })
    assert.deepEqual(
      accelerators.map(({ vendor, unifiedMemory }) => [vendor, unifiedMemory]),
      [['apple', true]],
    )
  })

  it('a desktop with an RTX 5090', async () => {
    const { cpu, accelerators } = await advertOf('desktop-rtx-5090')
    const [gpu] = accelerators
    assert.deepEqual([gpu?.name.value, gpu?.computeCapability?.value], ['NVIDIA GeForce RTX 5090', '12.0'])
    assert.deepEqual([gpu?.memory?.value.total, gpu?.powerLimit?.value], [32607 * MiB, 575])
    assert.equal(cpu.quota, undefined)
  })

  it('a machine with one A100 divided and one whole: the parts are devices, each with its own memory', async () => {
    const { accelerators } = await advertOf('a100-mig')
    assert.deepEqual(
      accelerators.map(({ uuid, mig, memory }) => [
        uuid?.value.slice(0, 12),
        mig?.value,
        memory?.value.total,
        memory?.value.free,
      ]),
      [
        ['MIG-a1003400', '3g.40gb', 40192 * MiB, (40192 - 37) * MiB],
        ['MIG-a1001100', '1g.10gb', 9728 * MiB, (9728 - 12) * MiB],
        ['GPU-a1000001', undefined, 81920 * MiB, 80900 * MiB],
      ],
    )
  })

  it('a Jetson AGX Orin without nvidia-smi, by its device tree', async () => {
    const { board, cpu, accelerators } = await advertOf('jetson-agx-orin', 'linux', 'arm64')
    assert.deepEqual(board, { value: 'NVIDIA Jetson AGX Orin Developer Kit', source: '/proc/device-tree/model' })
    // Its kernel calls it an ARMv8 Processor, which says nothing.
    assert.deepEqual([cpu.model.value, cpu.threads.value], ['Cortex-A78AE', 12])
    assert.deepEqual(accelerators, [
      {
        vendor: 'nvidia',
        name: { value: 'nvidia,tegra234', source: '/proc/device-tree/compatible' },
        computeCapability: { value: '8.7', source: '/proc/device-tree/compatible' },
        memory: { value: { total: 64349908 * kB, free: 60124160 * kB }, source: '/proc/meminfo' },
        unifiedMemory: true,
      },
    ])
  })

  it('a Jetson Orin Nano, whose nvidia-smi names a GPU and no more', async () => {
    const { accelerators } = await advertOf('jetson-orin-nano', 'linux', 'arm64')
    assert.deepEqual(
      accelerators.map(({ computeCapability, memory, unifiedMemory }) => [
        computeCapability?.value,
        memory?.value.total,
        unifiedMemory,
      ]),
      [['8.7', 7802980 * kB, true]],
    )
  })

  it('a Raspberry Pi 5', async () => {
    const { board, cpu, memory, accelerators } = await advertOf('raspberry-pi-5', 'linux', 'arm64')
    assert.deepEqual(
      [board?.value, cpu.model.value, cpu.threads.value],
      ['Raspberry Pi 5 Model B Rev 1.0', 'Cortex-A76', 4],
    )
    assert.deepEqual(cpu.flags.value, ['asimd', 'asimdhp', 'asimddp'])
    assert.deepEqual([memory.source, accelerators], ['/proc/meminfo', []])
  })

  it('a Graviton3 in a container of cgroup v2: the lowest limit of all groups above counts', async () => {
    const { cpu, memory } = await advertOf('graviton3', 'linux', 'arm64')
    assert.equal(cpu.model.value, 'Neoverse-V1')
    assert.deepEqual(cpu.flags.value, ['asimd', 'asimdhp', 'asimddp', 'bf16', 'i8mm', 'sve'])
    assert.deepEqual(cpu.quota, { value: 1.5, source: '/sys/fs/cgroup/kubepods/pod1/c1/cpu.max' })
    assert.deepEqual(memory.value, { total: 4294967296, free: 3221225472 })
  })

  it('an Ampere Altra in a container of cgroup v1, whose limit of memory is none', async () => {
    const { cpu, memory } = await advertOf('ampere-altra', 'linux', 'arm64')
    assert.deepEqual(
      [cpu.model.value, cpu.threads.value, cpu.cores?.value, cpu.numaNodes?.value],
      ['Neoverse-N1', 160, 160, 2],
    )
    assert.deepEqual(cpu.quota, { value: 8, source: '/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us' })
    assert.equal(memory.source, '/proc/meminfo')
  })

  it('a Mac with an M4', async () => {
    const { cpu, memory } = await advertOf('mac-m4', 'darwin', 'arm64')
    assert.deepEqual([cpu.model.value, cpu.flags.value], ['Apple M4', ['asimddp', 'bf16', 'i8mm', 'sme']])
    assert.equal(memory.value.total, 17179869184)
  })

  it('a desktop with a Radeon card and a smaller one in its processor', async () => {
    const { accelerators } = await advertOf('desktop-radeon')
    const [first, second] = [1, 2].map((card) => `/sys/class/drm/card${card}/device`)
    assert.deepEqual(accelerators, [
      {
        vendor: 'amd',
        name: { value: 'Radeon RX 7900 XT', source: 'rocm-smi' },
        uuid: { value: '0xd1cf8a4a2d5e3f10', source: 'rocm-smi' },
        driver: { value: 'amdgpu', source: `${first}/uevent` },
        memory: {
          value: { total: 21458059264, free: 21458059264 - 27856896 },
          source: `${first}/mem_info_vram_total`,
        },
        unifiedMemory: false,
      },
      {
        vendor: 'amd',
        // Its own tool knows no name; the system's list does.
        name: { value: 'Advanced Micro Devices, Inc. [AMD/ATI] Raphael', source: '/usr/share/misc/pci.ids' },
        uuid: { value: '0000:12:00.0', source: `${second}/uevent` },
        driver: { value: 'amdgpu', source: `${second}/uevent` },
        memory: { value: { total: 67108864, free: 67108864 - 26079232 }, source: `${second}/mem_info_vram_total` },
        unifiedMemory: false,
      },
    ])
  })

  it('a Radeon card whose machine has none of the tools: what the kernel says is enough', async () => {
    const host = { ...recorded('desktop-radeon'), output: async () => undefined }
    const [card] = (await readHardware(host)).accelerators
    assert.deepEqual(
      [card?.vendor, card?.name.value, card?.uuid?.value, card?.memory?.value.total],
      [
        'amd',
        'Advanced Micro Devices, Inc. [AMD/ATI] Navi 31 [Radeon RX 7900 XT/7900 XTX/7900 GRE/7900M]',
        'd1cf8a4a2d5e3f10',
        21458059264,
      ],
    )
  })

  it('a server with Intel cards, of which its tool knows two and the memory of one; its display chip is none', async () => {
    const { accelerators } = await advertOf('server-arc-pro')
    assert.deepEqual(
      accelerators.map(({ vendor, name, uuid, memory }) => [vendor, name.value, uuid?.value, memory]),
      [
        [
          'intel',
          'Intel(R) Arc(TM) Pro B60 Graphics',
          '00000000-0000-0097-0000-0000e2118086',
          { value: { total: 25669140480, free: 25447604224 }, source: 'xpu-smi' },
        ],
        ['intel', 'Intel(R) Arc(TM) Pro B60 Graphics', '00000000-0000-00a3-0000-0000e2118086', undefined],
        ['intel', 'PCI device 8086:e211', '0000:b8:00.0', undefined],
      ],
    )
  })

  it('hardware that nobody has heard of, by what it reports; what a virtual machine draws with is none', async () => {
    const { accelerators } = await advertOf('unknown-accelerator')
    const [card, chip] = ['/sys/class/drm/card2/device', '/sys/class/accel/accel0/device']
    assert.deepEqual(accelerators, [
      {
        vendor: 'other',
        name: { value: 'PCI device abce:0001', source: `${card}/device` },
        uuid: { value: '0000:42:00.0', source: `${card}/uevent` },
        driver: { value: 'xq_gpu', source: `${card}/uevent` },
        unifiedMemory: false,
      },
      {
        vendor: 'other',
        name: { value: 'PCI device abcd:0042', source: `${chip}/device` },
        uuid: { value: '0000:41:00.0', source: `${chip}/uevent` },
        driver: { value: 'xq_npu', source: `${chip}/uevent` },
        unifiedMemory: false,
      },
    ])
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

describe('CUDA_VISIBLE_DEVICES', () => {
  const seen = async (machine: string, cuda: string | undefined): Promise<(string | undefined)[]> => {
    const { accelerators } = await readHardware({ ...recorded(machine), visibleGpus: { cuda } })
    return accelerators.map(({ uuid }) => uuid?.value.slice(0, 12))
  }
  const h100 = (index: number): string => `GPU-0000000${index}`

  it('leaves what it names, in its order, up to the first entry that names nothing', async () => {
    assert.equal((await seen('dgx-h100', undefined)).length, 8)
    assert.deepEqual(await seen('dgx-h100', '6,2'), [h100(6), h100(2)])
    assert.deepEqual(await seen('dgx-h100', `${h100(3)}-c2aa, 0`), [h100(3), h100(0)])
    assert.deepEqual(await seen('dgx-h100', '1,9,2'), [h100(1)])
    assert.deepEqual(await seen('dgx-h100', '1,1,2'), [h100(1)])
    for (const none of ['', '-1', 'NoDevFiles', 'GPU-', 'MIG-a1001100'])
      assert.deepEqual(await seen('dgx-h100', none), [], none)
    assert.deepEqual(await seen('a100-mig', 'MIG-a1001100-1111-5222-8333-444455556663'), ['MIG-a1001100'])
    assert.deepEqual(await seen('jetson-agx-orin', ''), [])
  })
})

describe('ROCR_VISIBLE_DEVICES and HIP_VISIBLE_DEVICES', () => {
  const [first, second] = ['0xd1cf8a4a2d5e3f10', '0000:12:00.0']
  const seen = async (visibleGpus: VisibleGpus, machine = 'desktop-radeon'): Promise<(string | undefined)[]> =>
    (await readHardware({ ...recorded(machine), visibleGpus })).accelerators.map(({ uuid }) => uuid?.value)

  it('leave of AMD’s GPUs what they name, in their order, up to the first entry that names nothing', async () => {
    assert.deepEqual(await seen({}), [first, second])
    for (const name of ['rocr', 'hip'] as const) {
      assert.deepEqual(await seen({ [name]: '1, 0' }), [second, first])
      assert.deepEqual(await seen({ [name]: 'GPU-D1CF8A4A2D5E3F10' }), [first])
      assert.deepEqual(await seen({ [name]: 'GPU-d1cf,1' }), [first, second])
      for (const list of ['1,7,0', '1,GPU-ffff,0']) assert.deepEqual(await seen({ [name]: list }), [second], list)
      for (const none of ['-1', 'none', 'GPU-', 'GPU-0000:12']) assert.deepEqual(await seen({ [name]: none }), [], none)
    }
    // To HIP nothing is said by an empty list, and by what is repeated nothing new.
    assert.deepEqual([await seen({ rocr: '' }), await seen({ hip: '' })], [[], [first, second]])
    assert.deepEqual([await seen({ rocr: '1,1,0' }), await seen({ hip: '1,1,0' })], [[second], [second, first]])
  })

  it('count one after the other, HIP’s before CUDA’s, and are nobody else’s', async () => {
    assert.deepEqual(await seen({ rocr: '1', hip: '0' }), [second])
    assert.deepEqual(await seen({ rocr: '1', hip: '1' }), [])
    assert.deepEqual([await seen({ cuda: '1' }), await seen({ hip: '0', cuda: '1' })], [[second], [first]])
    for (const machine of ['server-arc-pro', 'unknown-accelerator', 'dgx-h100'])
      assert.deepEqual(await seen({ rocr: '', hip: '-1' }, machine), await seen({}, machine))
  })
})

describe('a driver that does not know all fields', () => {
  it('is asked for fewer', async () => {
    const old = '0, GPU-1f2e3d4c-0000-1111-2222-333344445555, Tesla V100-SXM2-16GB, 450.203.03, 16160, 16000, 300.00\n'
    const host = {
      ...recorded('nowhere'),
      output: async (_: string, ...args: string[]) => (args[0]?.includes('compute_cap') ? undefined : old),
    }
    const [gpu] = (await readHardware(host)).accelerators
    assert.deepEqual(
      [gpu?.name.value, gpu?.memory?.value.total, gpu?.computeCapability],
      ['Tesla V100-SXM2-16GB', 16160 * MiB, undefined],
    )
  })
})

describe('cores', () => {
  it('of a mainframe are counted through its sockets, books and drawers', () => {
    const places = { 'sockets per book': '3', 'Book(s) per drawer': '2', 'Drawer(s)': '2' }
    const kinds = [{ model: 'z', 'cores per socket': '4', ...places }]
    assert.equal(parseLscpu(lscpu({ cpus: '48', online: '0-47', kinds }, 'nested'))?.cores, 48)
  })

  it('of unlike kinds have the extensions that all of them have', () => {
    const [big, little] = ['fp asimd sve i8mm', 'fp asimd i8mm']
    const kinds = [big, little].map((flags, i) => ({ model: `kind ${i}`, flags }))
    const fromLscpu = parseLscpu(lscpu({ cpus: '2', online: '0-1', kinds }, 'nested'))
    const fromCpuinfo = parseCpuinfo(cpuinfo([big, little].map((Features) => ({ processors: '1', Features }))))
    for (const cpu of [fromLscpu, fromCpuinfo]) assert.deepEqual(cpu?.flags, ['asimd', 'i8mm'])
  })
})

describe('a GPU that is lost', () => {
  it('costs no other one, as each is asked for itself where all together are not told of', async () => {
    const rows: Record<string, string> = {
      '0000:1d:00.0': '0, GPU-0a, NVIDIA GeForce RTX 3090, 8.6, 560.35.03, 24576, 24570, 350.00, [N/A]\n',
      '0000:ba:00.0': '2, GPU-2a, NVIDIA GeForce RTX 3090, 8.6, 560.35.03, 24576, 24000, 350.00, [N/A]\n',
    }
    const host = {
      ...recorded('nowhere'),
      entries: async (folder: string) =>
        folder === '/proc/driver/nvidia/gpus' ? ['0000:ba:00.0', '0000:1d:00.0', '0000:3d:00.0'] : [],
      output: async (command: string, ...args: string[]) =>
        command === 'nvidia-smi' && args[0] === '-i' ? rows[args[1] ?? ''] : undefined,
    }
    const { accelerators } = await readHardware(host)
    assert.deepEqual(
      accelerators.map(({ uuid, memory }) => [uuid?.value, memory?.value.free]),
      [
        ['GPU-0a', 24570 * MiB],
        ['GPU-2a', 24000 * MiB],
      ],
    )
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

  it('is no device of AMD or Intel', () => {
    for (const text of [
      '',
      'ERROR: no GPU',
      '[]',
      '{"card0": 7}',
      '{"device_list": {}}',
      '{"card0": {"Card Series": "x"}}',
    ]) {
      assert.equal(parseRocm(text).size, 0)
      assert.deepEqual(parseXpuList(text), [])
      assert.equal(parseXpuMemory(text), undefined)
    }
  })

  it('is no limit', () => {
    for (const text of ['max\n', '', '9223372036854771712', '18446744073709551615', '-1', '0', 'garbage'])
      assert.equal(parseLimit(text, 16e9), undefined)
    assert.equal(parseLimit('1000000000\n', 16e9), 1e9)
  })

  it('is no share of processors', () => {
    for (const [quota, period] of [
      ['max', '100000'],
      ['-1', '100000'],
      ['0', '100000'],
      ['100000', '0'],
      ['', ''],
      ['99999999999', '100000'],
    ] as const)
      assert.equal(parseQuota(quota, period, 8), undefined)
    assert.equal(parseQuota('50000\n', '100000\n', 8), 0.5)
  })

  it('never makes less than nothing free', () => {
    assert.deepEqual(clamp({ total: 16e9, free: 8e9 }, 1e9, 2e9), { total: 1e9, free: 0 })
  })
})
