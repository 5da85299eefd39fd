/** Machines whose programs hang, die or print what no machine has: a node starts all the same, with an advert that its readers take. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { parseSysctl, parseVmStat } from '../../inference/hardware/apple.js'
import { parseCpuinfo } from '../../inference/hardware/cpuinfo.js'
import { plain } from '../../inference/hardware/fact.js'
import { type Host, thisHost } from '../../inference/hardware/host.js'
import { parseLscpu } from '../../inference/hardware/lscpu.js'
import { parseCgroup, parseLimit, parseMeminfo } from '../../inference/hardware/memory.js'
import { parseMigList, parseMigMemory } from '../../inference/hardware/mig.js'
import { parseNvidia } from '../../inference/hardware/nvidia.js'
import { parseRocm, parseXpuList, parseXpuMemory } from '../../inference/hardware/smi.js'
import { wholeNumber } from '../../inference/hardware/whole.js'
import { type HardwareAdvert, hardwareAdvertSchema, readHardware } from '../../inference/hardware.js'
import { eventually } from '../kit/eventually.js'

type Programs = Record<string, (args: string[]) => string | undefined | Promise<string | undefined>>
type Files = Record<string, string>
type Folders = Record<string, string[]>

function machine(programs: Programs, files: Files = {}, folders: Folders = {}): Host {
  return {
    platform: 'linux',
    arch: 'x64',
    file: async (path) => files[path],
    entries: async (folder) => folders[folder] ?? [],
    output: async (command, ...args) => programs[command]?.(args),
  }
}

const advertOf = async (...its: Parameters<typeof machine>): Promise<HardwareAdvert> =>
  hardwareAdvertSchema.parse(await readHardware(machine(...its)))

const rows = (...fields: [string, string][]): string =>
  JSON.stringify({ lscpu: [['Model name', 'x'], ...fields].map(([field, data]) => ({ field: `${field}:`, data })) })

async function timed<T>(work: () => T | Promise<T>): Promise<[T, number]> {
  const began = performance.now()
  return [await work(), performance.now() - began]
}

const later = <T>(ms: number, value: T): Promise<T> => new Promise((resolve) => setTimeout(resolve, ms, value))
const never = (): Promise<never> => new Promise(() => {})
const gpuFolder = '/proc/driver/nvidia/gpus'
const row = (index: number): string => `${index}, GPU-${index}, NVIDIA H200, 9.0, 550.1, 1000, 900, 700, Disabled`

describe('a program', { concurrency: true }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'clawmesh-hardware-'))
  after(() => rmSync(folder, { recursive: true }))
  const program = (name: string, text: string): string => {
    const path = join(folder, name)
    writeFileSync(path, `#!/bin/sh\n${text}\n`)
    chmodSync(path, 0o755)
    return path
  }
  const ended = (file: string): Promise<void> => {
    const pid = Number(readFileSync(join(folder, file), 'utf8'))
    return eventually(() => assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' }), 5000)
  }

  it('that does not die keeps neither its answer nor the end of the process waiting', async () => {
    const stuck = program('stuck', `echo $$ > ${folder}/pid; exec sleep 60`)
    // No signal reaches it, as in a driver that sleeps: only then is it seen that nothing waits for its end.
    const asking = `
      const { ChildProcess } = await import('node:child_process')
      ChildProcess.prototype.kill = (signal) => console.log(signal)
      const { thisHost } = await import(${JSON.stringify(new URL('../../inference/hardware/host.js', import.meta.url))})
      console.log(await thisHost.output(${JSON.stringify(stuck)}))`
    const stdio = ['ignore', 'pipe', 'inherit'] as const
    const [said, ms] = await timed(async () => {
      const asker = spawn(process.execPath, ['--input-type=module', '-e', asking], {
        stdio: [...stdio],
        timeout: 20_000,
      })
      let text = ''
      asker.stdout.on('data', (chunk) => {
        text += chunk
      })
      await once(asker, 'close')
      return text
    })
    const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'))
    // It is there still, and has this number.
    assert.ok(process.kill(pid, 'SIGKILL'))
    assert.equal(said, 'SIGKILL\nundefined\n')
    assert.ok(ms >= 5000 && ms < 9000, `${ms}`)
  })

  it('that minds no SIGTERM is ended', async () => {
    const deaf = program('deaf', `trap '' TERM; echo $$ > ${folder}/deaf.pid; while :; do sleep 0.1; done`)
    const [answer, ms] = await timed(() => Promise.race([thisHost.output(deaf), later(8000, 'no answer')]))
    assert.equal(answer, undefined)
    assert.ok(ms >= 4900, `${ms}`)
    await ended('deaf.pid')
  })

  it('that still has time ends with the process that asks it', async () => {
    const slow = program(
      'slow',
      `echo $$ > ${folder}/slow.new; mv ${folder}/slow.new ${folder}/slow.pid; exec sleep 60`,
    )
    const asking = `
      const { existsSync } = await import('node:fs')
      const { thisHost } = await import(${JSON.stringify(new URL('../../inference/hardware/host.js', import.meta.url))})
      void thisHost.output(${JSON.stringify(slow)})
      setInterval(() => existsSync(${JSON.stringify(join(folder, 'slow.pid'))}) && process.exit(), 20)`
    const asker = spawn(process.execPath, ['--input-type=module', '-e', asking], { stdio: 'inherit', timeout: 20_000 })
    await once(asker, 'close')
    await ended('slow.pid')
  })

  it('that says more than any answer is, fails or is none says nothing, and at once', async () => {
    const endless = program('endless', 'exec yes')
    const failing = program('failing', 'echo something; exit 3')
    const [answers, ms] = await timed(() =>
      Promise.all([endless, failing, join(folder, 'none'), 'a\0b'].map((command) => thisHost.output(command))),
    )
    assert.deepEqual(answers, [undefined, undefined, undefined, undefined])
    assert.ok(ms < 4000, `${ms}`)
    assert.equal(await thisHost.output(program('well', 'echo "$1"'), 'ü'), 'ü\n')
  })
})

describe('a look at a machine', { concurrency: true }, () => {
  it('ends in ten seconds, however late each program says that it fails', async () => {
    const slow = (): Promise<undefined> => later(4000, undefined)
    const folders = { [gpuFolder]: ['0000:01:00.0'] }
    const [, ms] = await timed(() => advertOf({ lscpu: slow, 'nvidia-smi': slow }, {}, folders))
    assert.ok(ms >= 9900 && ms < 12_000, `${ms}`)
  })

  it('asks a program that hung no second time, whoever else is to be asked for', async () => {
    const asked: string[][] = []
    const hangs = (args: string[]): Promise<string | undefined> | undefined => {
      asked.push(args)
      return args[0] === '-i' ? never() : undefined
    }
    const folders = { [gpuFolder]: Array.from({ length: 40 }, (_, i) => `0000:${(i + 16).toString(16)}:00.0`) }
    const [, ms] = await timed(() => advertOf({ 'nvidia-smi': hangs }, {}, folders))
    assert.ok(ms < 7000, `${ms}`)
    assert.deepEqual([asked.length, asked.filter(([first]) => first === '-i').length], [10, 8])
  })

  it('asks for 64 lost GPUs at most, eight at once, and for nothing that is no place on the bus', async () => {
    const asked = new Set<string>()
    let [now, most] = [0, 0]
    const lost = async ([first, slot]: string[]): Promise<string | undefined> => {
      most = Math.max(most, ++now)
      await later(2, undefined)
      now--
      if (first === '-i') asked.add(`${slot}`)
      return slot === '0000:07:00.0' ? row(7) : undefined
    }
    const places = Array.from({ length: 5000 }, (_, i) => `${i.toString(16).padStart(4, '0')}:07:00.0`)
    const folders = { [gpuFolder]: ['--help', '0', '0000:07:00.0 ', '../x', ...places] }
    const { accelerators } = await advertOf({ 'nvidia-smi': lost }, {}, folders)
    assert.deepEqual([asked.size, most], [64, 8])
    assert.ok([...asked].every((slot) => places.includes(slot)))
    assert.deepEqual(
      accelerators.map(({ uuid }) => uuid?.value),
      ['GPU-7'],
    )
  })
})

describe('a number that no machine has', () => {
  it('is none', () => {
    for (const text of ['-1', '1.5', '1e3', 'Infinity', '', ' 1', '0x10', '9'.repeat(400), '18446744073709551615'])
      assert.equal(wholeNumber(text), undefined, text)
    assert.deepEqual([wholeNumber('0'), wholeNumber('8', 8), wholeNumber('9', 8)], [0, 8, undefined])
  })

  it('of processors is not said: another source is asked', async () => {
    const cpuinfo = { '/proc/cpuinfo': 'processor : 0\nmodel name : y\n\nprocessor : 1\nmodel name : y\n' }
    const long = '1,'.repeat(1_900_000)
    const lists = ['9-0', '0-99999999999999999999', '0-70000', '1-2-3', '1-', '-1', `${long}x`, `${long}1`]
    for (const list of lists) {
      const { cpu } = await advertOf({ lscpu: () => rows(['On-line CPU(s) list', list]) }, cpuinfo)
      assert.deepEqual([cpu.model.source, cpu.threads.value], ['/proc/cpuinfo', 2], list.slice(0, 30))
    }
    for (const count of ['0', '-8', '2.5', '1e3', '99999999999999999999'])
      assert.equal(parseLscpu(rows(['CPU(s)', count])), undefined, count)
    const odd = parseLscpu(rows(['CPU(s)', '4'], ['Core(s) per socket', '9'.repeat(400)], ['Socket(s)', '1']))
    assert.deepEqual([odd?.threads, odd?.cores], [4, undefined])
    const nodes = parseLscpu(rows(['CPU(s)', '4'], ['NUMA node(s)', '9'.repeat(400)]))
    assert.equal(nodes?.numaNodes, undefined)
  })

  it('of a GPU is left out, and the GPU stays', async () => {
    const of = async (...[total, free, watts]: string[]) => {
      const printed = `0, GPU-1, X, 9.0, 1, ${total}, ${free}, ${watts}, Disabled`
      const [gpu] = (await advertOf({ 'nvidia-smi': () => printed })).accelerators
      return [gpu?.uuid?.value, gpu?.memory?.value, gpu?.powerLimit?.value]
    }
    const huge = '9'.repeat(400)
    const memory = { total: 1024 * 1024, free: 1024 * 1024 }
    assert.deepEqual(await of('1', '1', 'Infinity'), ['GPU-1', memory, undefined])
    assert.deepEqual(await of('1', '1', '1e300'), ['GPU-1', memory, undefined])
    assert.deepEqual(await of(huge, '9', '700.00'), ['GPU-1', undefined, 700])
    assert.deepEqual(await of('8', huge, '700.00'), ['GPU-1', undefined, 700])
    // Nothing has more free than it has.
    assert.deepEqual(await of('1', '2', '-1'), ['GPU-1', memory, undefined])
    assert.deepEqual(parseNvidia(`${huge}, GPU-1, X, 9.0, 1, 1, 1, 1, Disabled`), [])
  })

  it('of a part of a GPU, or of a device of Intel’s, is left out', () => {
    const huge = '9'.repeat(400)
    assert.deepEqual(parseMigMemory(`|  0    1   0   0  |      12MiB / ${huge}MiB    |`), [])
    assert.deepEqual(parseMigList(`GPU ${huge}: X (UUID: GPU-1)\n  MIG 1g.10gb     Device  0: (UUID: MIG-1)`), [])
    for (const id of [-1, 1.5, 1e300]) {
      const [device] = parseXpuList(JSON.stringify({ device_list: [{ device_id: id, pci_bdf_address: 'X' }] }))
      assert.deepEqual([device?.slot, device?.id], ['x', undefined])
    }
    const sizes = { memory_physical_size_byte: 1e300, memory_free_size_byte: 1 }
    assert.equal(parseXpuMemory(JSON.stringify(sizes)), undefined)
  })

  it('of memory is not said: Node’s are', async () => {
    const huge = '9'.repeat(400)
    const { memory } = await advertOf({}, { '/proc/meminfo': `MemTotal: ${huge} kB\nMemAvailable: 5 kB\n` })
    assert.equal(memory.source, 'node')
    const files = {
      '/proc/meminfo': 'MemTotal: 2000 kB\nMemAvailable: 3000 kB\n',
      '/proc/self/cgroup': '0::/',
      '/sys/fs/cgroup/memory.max': '1024000',
      '/sys/fs/cgroup/memory.current': 'none',
    }
    assert.deepEqual((await advertOf({}, files)).memory.value, { total: 1_024_000, free: 1_024_000 })
  })

  it('of a Mac’s is none', () => {
    const mac = (size: string, threads: string, cores: string) =>
      parseSysctl(
        `machdep.cpu.brand_string: x\nhw.memsize: ${size}\nhw.logicalcpu: ${threads}\nhw.physicalcpu: ${cores}`,
      )
    for (const [size, threads] of [
      ['Infinity', '8'],
      ['1e400', '8'],
      ['8', '2.5'],
      ['8', '0'],
    ] as const)
      assert.equal(mac(size, threads, '4'), undefined)
    assert.equal(mac('8', '8', '-3')?.cpu.cores, undefined)
    assert.equal(parseVmStat(`page size of ${'9'.repeat(400)} bytes)\nPages free: 1.\n`, 100), undefined)
    assert.equal(parseVmStat(`page size of 1 bytes)\nPages free: ${'9'.repeat(400)}.\n`, 100)?.free, 0)
  })
})

describe('a text that no program prints', () => {
  it('is read in a time that grows with its length', async () => {
    const [n, space] = [200_000, ' '.repeat(200_000)]
    const lines = (line: string): string => `${line}\n`.repeat(n / line.length)
    const readings: Record<string, () => unknown> = {
      'cpuinfo: spaces behind a name': () => parseCpuinfo(`processor : 0\nflags :${space}\n`),
      'cpuinfo: spaces and tabs': () => parseCpuinfo(`processor : 0\nmodel name :${' \t'.repeat(n / 2)}\n`),
      'cpuinfo: spaces before the colon': () => parseCpuinfo(`processor : 0\ncore id${space}\nflags${space}x`),
      'cpuinfo: spaces behind a word': () => parseCpuinfo(`processor : 0\nmodel name : x${space}\n`),
      'cpuinfo: lines of spaces': () => parseCpuinfo(`processor : 0\ncore id :\n${lines(' '.repeat(400))}`),
      'cpuinfo: no colon': () => parseCpuinfo(`processor${'\n'.repeat(n)}`),
      'lscpu: a long list': () => parseLscpu(rows(['On-line CPU(s) list', `${'1-1,'.repeat(n)}x`])),
      'lscpu: a long field': () => parseLscpu(rows([`NUMA node${'1'.repeat(n)}`, '1'])),
      'lscpu: spaces in flags': () => parseLscpu(rows(['CPU(s)', '1'], ['Flags', `a${space}b`])),
      'nvidia: brackets': () => parseNvidia('['.repeat(n)),
      'nvidia: spaces': () => parseNvidia(`0, ${space}x, X`),
      'mig: spaces': () => parseMigList(`GPU 0: X\n${space}\n  MIG 1g.10gb${space}x`),
      'mig: a long name': () => parseMigList(`GPU 0: X\n  MIG ${'M'.repeat(n)}   Device  ${'1'.repeat(n)}`),
      'mig: spaces in the table': () => parseMigMemory(`|${space}1${space}1${space}1${space}1${space}|${space}`),
      'mig: numbers in the table': () => parseMigMemory(`|  ${'1  '.repeat(n / 3)}`),
      'rocm: braces': () => parseRocm(lines('{')),
      'rocm: spaces': () => parseRocm(JSON.stringify({ card0: { 'PCI Bus': `a${space}b` } })),
      'xpu: braces': () => parseXpuList(`${'{"device_list":['.repeat(n / 16)}`),
      'xpu: digits': () => parseXpuMemory(JSON.stringify({ memory_physical_size_byte: '1'.repeat(n) })),
      'sysctl: colons': () => parseSysctl(lines(': ')),
      'vm_stat: digits': () => parseVmStat(`page size of ${'1'.repeat(n)}\n${lines('Pages free:')}`, 1),
      'meminfo: spaces': () => parseMeminfo(`MemTotal:${space}\n${lines('MemTotal:')}`),
      'cgroup: colons': () => parseCgroup(lines('0:a:')),
      'a limit: digits': () => parseLimit(`${'9'.repeat(n)}x`, 1),
      'a name: control characters': () => plain('\u0001x'.repeat(n / 2)),
      'a name: spaces': () => plain(`${space}x${space}`),
    }
    for (const [what, read] of Object.entries(readings)) {
      const [, ms] = await timed(read)
      assert.ok(ms < 1500, `${what}: ${ms} ms`)
    }
  })

  it('is read in such a time of a device’s files too', async () => {
    const device = '/sys/class/accel/accel0/device'
    const space = ' '.repeat(200_000)
    const files = { [`${device}/vendor`]: '0xabcd', [`${device}/device`]: '0x0001' }
    const uevent = { [`${device}/uevent`]: `DRIVER=${space}\nDRIVER${space}`, [`${device}/unique_id`]: space }
    const folders = { '/sys/class/accel': ['accel0'] }
    const names = { '/usr/share/misc/pci.ids': `abcd  ${space}\n\t${space}` }
    const [advert, ms] = await timed(() => advertOf({}, { ...files, ...uevent, ...names }, folders))
    assert.ok(ms < 1500, `${ms}`)
    assert.deepEqual(advert.accelerators, [
      { vendor: 'other', name: { value: 'PCI device abcd:0001', source: `${device}/device` }, unifiedMemory: false },
    ])
  })

  it('is none where rows of lscpu lie in one another without end', () => {
    const depth = 20_000
    const own = '{"field":"CPU(s):","data":"4","children":['
    assert.equal(parseLscpu(`{"lscpu":[${own.repeat(depth)}${']}'.repeat(depth)}]}`), undefined)
  })
})

describe('an advert', () => {
  it('tells of 128 devices at most', async () => {
    const many = { 'nvidia-smi': () => Array.from({ length: 5000 }, (_, i) => row(i)).join('\n') }
    const of = await advertOf(many)
    assert.deepEqual([of.accelerators.length, of.accelerators.at(-1)?.uuid?.value], [128, 'GPU-127'])
    const names = Array.from({ length: 5000 }, (_, i) => `accel${i}`)
    const files = names.flatMap((name) =>
      ['vendor', 'device'].map((file) => [`/sys/class/accel/${name}/device/${file}`, '0xabcd']),
    )
    const others = await advertOf({}, Object.fromEntries(files), { '/sys/class/accel': names })
    assert.equal(others.accelerators.length, 128)
    const both = await advertOf(many, Object.fromEntries(files), { '/sys/class/accel': names })
    assert.equal(both.accelerators.length, 128)
  })

  it('tells of no more parts, and soon, where a list has each of them thousands of times', async () => {
    const divided = (): string => '1, GPU-1, H, 9, 5, 1, 1, 1, Enabled\n'.repeat(20_000)
    const parts = `GPU 1: H\n${'  MIG 1g.10gb     Device  0: (UUID: MIG-1)\n'.repeat(20_000)}`
    const table = '|  1    1   0   1  |      1MiB / 2MiB    |\n'.repeat(20_000)
    const smi = ([first]: string[]): string => (first === '-L' ? parts : first ? divided() : table)
    const [{ accelerators }, ms] = await timed(() => advertOf({ 'nvidia-smi': smi }))
    assert.equal(accelerators.length, 128)
    assert.ok(ms < 4000, `${ms}`)
  })

  it('has names, drivers and ids in one line that can be shown, of 200 characters', async () => {
    const dirty = (name: string): string => `${name}\u0000\u001b]0;x\u0007\u009b\u202e${'😀'.repeat(300)}`
    const device = '/sys/class/accel/accel0/device'
    const files = {
      '/proc/device-tree/model': `${dirty('board')}\nline`,
      [`${device}/vendor`]: '0xabcd',
      [`${device}/device`]: '0x0001',
      [`${device}/product_name`]: `${dirty('chip')}\nline`,
      [`${device}/unique_id`]: `${dirty('id')}\nline`,
      [`${device}/uevent`]: `DRIVER=${dirty('driver')}\nPCI_SLOT_NAME=0000:01:00.0`,
    }
    const smi = (): string => `0, ${dirty('GPU')}, ${dirty('X')}, ${dirty('9')}, ${dirty('5')}, 1, 1, 1, Disabled`
    const lscpu = (): string => rows(['Model name', dirty('cpu')], ['CPU(s)', '1'])
    const folders = { '/sys/class/accel': ['accel0'] }
    const { board, cpu, accelerators } = await advertOf({ lscpu, 'nvidia-smi': smi }, files, folders)
    const texts = [
      ...[board?.value, cpu.model.value],
      ...accelerators.flatMap(({ name, uuid, driver, computeCapability }) =>
        [name, uuid, driver, computeCapability].flatMap((each) => each?.value ?? []),
      ),
    ]
    assert.equal(texts.length, 9)
    for (const text of texts) {
      assert.equal([...(text ?? '')].length, 200)
      assert.match(text ?? '', /^[\w\]; +]+😀+$/u)
    }
    // What is nothing else names nothing.
    const [gpu] = parseNvidia('0, \u0001\u200b, X')
    assert.equal(gpu, undefined)
  })
})
