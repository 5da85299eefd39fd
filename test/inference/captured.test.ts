/** The parsers against facts of real machines: fixtures/hardware/captured says whose, who published them and what is to be made of them, and printed.ts how a program prints them. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { z } from 'zod'
import { parseSysctl, parseVmStat, sysctlArguments } from '../../inference/hardware/apple.js'
import { parseCpuinfo } from '../../inference/hardware/cpuinfo.js'
import { parseLscpu } from '../../inference/hardware/lscpu.js'
import { parseLimit } from '../../inference/hardware/memory.js'
import { parseMigList, parseMigMemory } from '../../inference/hardware/mig.js'
import { parseNvidia } from '../../inference/hardware/nvidia.js'
import { parseRocm, parseXpuList } from '../../inference/hardware/smi.js'
import { parseTegra } from '../../inference/hardware/tegra.js'
import { readHardware } from '../../inference/hardware.js'
import { cpuinfo, gpuId, gpuList, gpuTable, lscpu, partId, sysctl, vmStat } from './printed.js'

const folder = fileURLToPath(new URL('../../../test/inference/fixtures/hardware/captured/', import.meta.url))
const read: string[] = []

const text = z.string()
const texts = z.array(text)
const facts = z.record(text, text)
const source = { machine: text, from: text }

/** Each entry of a file by its claim. Nothing is taken for a number: what is written is what is printed. */
function entriesOf<T>(file: string, shape: z.ZodType<T>): [claim: string, entry: T][] {
  read.push(file)
  const all = parse(readFileSync(folder + file, 'utf8'), { schema: 'failsafe' })
  return Object.entries(z.record(text, shape).parse(all))
}

/** What a parser made of it, as the files write it: what is not known, and flags that are none, are left out. */
function told(value: object | undefined): object | undefined {
  const words = Object.entries(value ?? {}).map(([name, each]) => [name, Array.isArray(each) ? each.join(' ') : each])
  return value && Object.fromEntries(words.flatMap(([name, each]) => ((each ?? '') === '' ? [] : [[name, `${each}`]])))
}

describe('lscpu of', () => {
  const cpus = { cpus: text, online: text, offline: text.optional() }
  const numa = { nodes: facts.optional(), 'node count': text.optional() }
  const shape = { ...source, ...cpus, vendor: text.optional(), kinds: z.array(facts), ...numa, told: facts.optional() }
  for (const [claim, entry] of entriesOf('lscpu.yaml', z.strictObject(shape)))
    it(claim, () => {
      for (const form of ['flat', 'nested'] as const)
        assert.deepEqual(told(parseLscpu(lscpu(entry, form))), entry.told, form)
    })
})

describe('/proc/cpuinfo of', () => {
  const shape = z.strictObject({ ...source, sections: z.array(facts), told: facts })
  for (const [claim, entry] of entriesOf('cpuinfo.yaml', shape))
    it(claim, () => assert.deepEqual(told(parseCpuinfo(cpuinfo(entry.sections))), entry.told))
})

describe('a board', () => {
  const shape = z.strictObject({ ...source, words: texts, told: facts.optional() })
  for (const [claim, entry] of entriesOf('device-tree.yaml', shape))
    it(claim, () => assert.deepEqual(told(parseTegra(entry.words.map((word) => `${word}\0`).join(''))), entry.told))
})

describe('a control group', () => {
  for (const [claim, { limits }] of entriesOf('cgroup.yaml', z.strictObject({ ...source, limits: texts })))
    it(`has ${claim}, by each of the numbers that say so`, () => {
      for (const limit of limits) assert.equal(parseLimit(`${limit}\n`, 2 ** 50), undefined, limit)
    })
})

describe('nvidia-smi', () => {
  const rows = z.strictObject({ ...source, fields: texts, gpus: text, values: texts, told: facts })
  const words = z.strictObject({ ...source, words: texts })
  const lines = z.strictObject({ ...source, lines: texts })
  for (const [claim, entry] of entriesOf('nvidia-smi.yaml', z.union([rows, words, lines])))
    it(claim, () => {
      if ('lines' in entry) return assert.deepEqual(parseNvidia(entry.lines.join('\n')), [])
      if ('fields' in entry) {
        const each = Array.from({ length: Number(entry.gpus) }, (_, index) => ({
          index: `${index}`,
          uuid: gpuId(index),
        }))
        const printed = each.map(({ index, uuid }) => [index, uuid, ...entry.values].join(', ')).join('\n')
        const expected = each.map((gpu) => ({ ...gpu, isDivided: 'false', ...entry.told }))
        return assert.deepEqual(parseNvidia(printed, entry.fields).map(told), expected)
      }
      for (const word of entry.words) {
        const [gpu] = parseNvidia(['0', gpuId(0), 'NVIDIA B300', ...Array(6).fill(word)].join(', '))
        assert.deepEqual(told(gpu), { index: '0', uuid: gpuId(0), name: 'NVIDIA B300', isDivided: 'false' }, word)
      }
    })

  const gpu = z.strictObject({ name: text, parts: texts.optional(), instances: texts.optional() })
  for (const [claim, { gpus }] of entriesOf('nvidia-smi-L.yaml', z.strictObject({ ...source, gpus: z.array(gpu) })))
    it(`-L of ${claim}`, () => {
      const expected = gpus.flatMap(({ parts = [], instances }, gpu) =>
        parts.map((profile, index) => ({ gpu, index, profile, uuid: partId(gpu, index, instances?.[index]) })),
      )
      assert.deepEqual(parseMigList(gpuList(gpus)), expected)
    })

  const part = z.strictObject({ gpu: text, instance: text, index: text }).catchall(text)
  const table = z.strictObject({
    ...source,
    columns: z.enum(['narrow', 'wide']),
    gpus: z.array(z.strictObject({ name: text, memory: text })).optional(),
    parts: z.array(part).optional(),
  })
  for (const [claim, entry] of entriesOf('nvidia-smi-table.yaml', table))
    it(`the table of ${claim}`, () => {
      const expected = (entry.parts ?? []).flatMap(({ gpu, index, used, total }) => {
        const [all, taken] = [total, used].map((size) => Number(size) * 1024 * 1024)
        return used ? [{ gpu: Number(gpu), index: Number(index), total: all, free: (all ?? 0) - (taken ?? 0) }] : []
      })
      assert.deepEqual(parseMigMemory(gpuTable(entry)), expected)
    })
})

describe('rocm-smi and xpu-smi', () => {
  const card = z.strictObject({ ...source, before: text.optional(), card: facts, told: facts.optional() })
  for (const [claim, entry] of entriesOf('rocm-smi.yaml', card))
    it(claim, () => {
      const printed = `${entry.before ? `\n${entry.before}\n\n` : ''}${JSON.stringify({ card0: entry.card })}\n`
      const found = [...parseRocm(printed)].map(([slot, said]) => told({ slot, ...said }))
      assert.deepEqual(found, entry.told ? [entry.told] : [])
    })

  for (const [claim, entry] of entriesOf('xpu-smi.yaml', z.strictObject({ ...source, device: facts, told: facts })))
    it(claim, () => {
      const device = { ...entry.device, device_id: Number(entry.device.device_id) }
      const found = parseXpuList(JSON.stringify({ device_list: [device] }))
      assert.deepEqual(
        found.map(({ slot, id, told: said }) => told({ slot, id, ...said })),
        [entry.told],
      )
    })
})

describe('a Mac', () => {
  for (const [claim, { knows, told: expected }] of entriesOf(
    'sysctl.yaml',
    z.strictObject({ ...source, knows: facts, told: facts }),
  )) {
    it(claim, () => {
      const { cpu, memoryTotal } = parseSysctl(sysctl(knows, sysctlArguments) ?? '') ?? {}
      assert.deepEqual([told(cpu), `${memoryTotal}`], [expected, knows['hw.memsize']])
    })

    it(`${claim}, if it did not know each name that it is asked for`, async () => {
      const { 'hw.optional.arm.FEAT_SME': _, ...older } = knows
      const output = async (command: string, ...args: string[]) =>
        command === 'sysctl' ? sysctl(older, args) : undefined
      const none = { file: async () => undefined, entries: async () => [] }
      const { cpu } = await readHardware({ platform: 'darwin', arch: 'arm64', output, ...none })
      assert.deepEqual(cpu.model, { value: expected.model, source: 'sysctl' })
    })
  }

  const counts = z.strictObject({
    ...source,
    'page size': text,
    pages: facts,
    told: z.strictObject({ total: text, free: text }),
  })
  for (const [claim, entry] of entriesOf('vm_stat.yaml', counts))
    it(claim, () => {
      const printed = vmStat(entry['page size'], entry.pages)
      assert.deepEqual(told(parseVmStat(printed, Number(entry.told.total))), entry.told)
    })
})

describe('what is captured', () => {
  it('is read by a test', () => assert.deepEqual(readdirSync(folder).sort(), read.sort()))
})
