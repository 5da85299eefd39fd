/** How programs print the facts of fixtures/hardware/captured. The form is theirs; the facts are a machine's; ids of GPUs are made up here. */

/** What a machine says by name, each as it is written. */
export type Facts = Record<string, string>

interface Row {
  field: string
  data: string | null
  children?: Row[]
}

/** What is not here is named in the files as it is printed. */
const lscpuFields: Facts = {
  cpus: 'CPU(s)',
  online: 'On-line CPU(s) list',
  offline: 'Off-line CPU(s) list',
  vendor: 'Vendor ID',
  model: 'Model name',
  'model number': 'Model',
  'threads per core': 'Thread(s) per core',
  'cores per socket': 'Core(s) per socket',
  'cores per cluster': 'Core(s) per cluster',
  sockets: 'Socket(s)',
  'sockets per book': 'Socket(s) per book',
  clusters: 'Cluster(s)',
  books: 'Book(s)',
  flags: 'Flags',
  'node count': 'NUMA node(s)',
}

interface Lscpu {
  cpus: string
  online: string
  offline?: string | undefined
  vendor?: string | undefined
  kinds: Facts[]
  nodes?: Facts | undefined
  'node count'?: string | undefined
}

/** `lscpu -J`. Versions differ in whether a row lies in another or behind it. */
export function lscpu(machine: Lscpu, form: 'flat' | 'nested'): string {
  const { cpus, online, offline, vendor, kinds, nodes = {} } = machine
  const lists = Object.entries(nodes).map(([id, list]) => row(`NUMA node${id} CPU(s)`, list))
  const count = machine['node count'] ?? (lists.length > 0 ? `${lists.length}` : undefined)
  const ofKinds = kinds.flatMap(({ model, ...counts }) =>
    model ? [row('model', model, rowsOf(counts))] : rowsOf(counts),
  )
  const rows = [
    row('cpus', cpus, rowsOf({ online, offline })),
    ...(vendor ? [row('vendor', vendor, ofKinds)] : ofKinds),
    ...(count ? [row('NUMA', '', [row('node count', count), ...lists])] : []),
  ]
  return JSON.stringify({ lscpu: form === 'nested' ? rows : flat(rows) })
}

function row(name: string, data: string, children: Row[] = []): Row {
  const own = { field: `${lscpuFields[name] ?? name}:`, data: data || null }
  return children.length > 0 ? { ...own, children } : own
}

function rowsOf(facts: Record<string, string | undefined>): Row[] {
  return Object.entries(facts).flatMap(([name, data]) => (data === undefined ? [] : [row(name, data)]))
}

function flat(rows: readonly Row[]): Row[] {
  // What is only a heading of others is no row where none lies in another.
  return rows.flatMap(({ children = [], ...row }) => [...(row.data || !children[0] ? [row] : []), ...flat(children)])
}

/** /proc/cpuinfo: an empty line behind each block, but not behind what is one line. */
export function cpuinfo(sections: readonly Facts[]): string {
  let processor = 0
  const blocks = sections.flatMap(({ processors, ...facts }) => {
    const lines = Object.entries(facts).map(([name, value]) => `${name}${/\d$/.test(name) ? '' : '\t'}: ${value}`)
    if (!processors) return [lines]
    return Array.from({ length: Number(processors) }, () => [`processor\t: ${processor++}`, ...lines])
  })
  return blocks.map((lines) => `${lines.join('\n')}\n${lines.length > 1 ? '\n' : ''}`).join('')
}

export const gpuId = (gpu: number): string => `GPU-${gpu}0000000-1111-2222-3333-444444444444`

/** Older drivers name a part by where it lies. */
export const partId = (gpu: number, part: number, instance?: string): string =>
  instance ? `MIG-${gpuId(gpu)}/${instance}` : `MIG-${gpu}${part}000000-5555-6666-7777-888888888888`

interface ListedGpu {
  name: string
  parts?: string[] | undefined
  instances?: string[] | undefined
}

/** `nvidia-smi -L`. */
export function gpuList(gpus: readonly ListedGpu[]): string {
  const lines = gpus.flatMap(({ name, parts = [], instances }, gpu) => [
    `GPU ${gpu}: ${name} (UUID: ${gpuId(gpu)})`,
    ...parts.map((profile, part) => {
      const [size, index] = instances ? [profile, part] : [profile.padEnd(11), `${part}`.padStart(2)]
      return `  MIG ${size} Device ${index}: (UUID: ${partId(gpu, part, instances?.[part])})`
    }),
  ])
  return `${lines.join('\n')}\n`
}

interface Table {
  columns: 'narrow' | 'wide'
  gpus?: { name: string; memory: string }[] | undefined
  parts?: (Facts & { gpu: string; instance: string; index: string })[] | undefined
}

/** The rows of the table of `nvidia-smi`: of each GPU two, of each part its memory's and its BAR1's. */
export function gpuTable({ columns, gpus = [], parts }: Table): string {
  const cell = (text = ''): string => (columns === 'wide' ? `${text.padStart(30)}    ` : `${text.padStart(21)} `)
  const ofGpus = gpus.flatMap(({ name, memory }, gpu) => [
    `|   ${gpu}  ${name.padEnd(30)} On  |   00000000:01:00.0 Off |                  N/A |`,
    `| N/A   36C    P8              3W /  N/A  | ${memory.padStart(22)} |      0%      Default |`,
  ])
  const ofParts = parts?.flatMap(({ gpu, instance, index, used, total = '', bar1 }) => {
    const memory = used && `${used}MiB / ${total.padStart(5)}MiB`
    return [
      `|  ${gpu}    ${instance.replace('/', '   ')}   ${index}  |${cell(memory)}| 14      0 |  3   0    2    0    0 |`,
      ...(bar1 ? [`|                  |${cell(bar1)}|           |                       |`] : []),
    ]
  })
  const divided = ofParts && ['| MIG devices: |', ...(ofParts.length > 0 ? ofParts : ['|  No MIG devices found  |'])]
  return [...ofGpus, ...(divided ?? []), ''].join('\n')
}

/** `sysctl NAME…`: without `-i`, one name that the machine does not know is a failure. */
export function sysctl(knows: Facts, names: readonly string[]): string | undefined {
  const asked = names.filter((name) => name !== '-i')
  const known = asked.filter((name) => knows[name] !== undefined)
  if (known.length < asked.length && !names.includes('-i')) return undefined
  return known.map((name) => `${name}: ${knows[name]}\n`).join('')
}

export function vmStat(pageSize: string, pages: Facts): string {
  const lines = Object.entries(pages).map(
    ([kind, count]) => `${`Pages ${kind}:`.padEnd(34)}${`${count}.`.padStart(14)}`,
  )
  return [`Mach Virtual Memory Statistics: (page size of ${pageSize} bytes)`, ...lines, ''].join('\n')
}
