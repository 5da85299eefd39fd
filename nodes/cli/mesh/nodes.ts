/** `clawmesh nodes`: who is in the mesh, as this machine's own node sees it. */

import { z } from 'zod'
import { hardwareAdvertSchema } from '../../../inference/hardware.js'
import { offerSchema } from '../../../inference/place.js'
import type { NodeInfo } from '../../../mesh/index.js'
import { catalogPrefix } from '../../catalog/messages.js'
import { machineWords } from '../../member/machine.js'
import { lookAtMesh, type Outlook, runningData } from '../../member/onlooker.js'
import { driftOf, policyAdvertSchema } from '../../process/standing-policy.js'
import { columns } from '../columns.js'
import { type Command, text, type Values } from '../command.js'
import { jsonOption } from '../options.js'
import { printable } from '../printable.js'

export const nodes: Command = {
  name: 'nodes',
  usage: '[--json]',
  help: 'Lists the nodes of the mesh: roles, labels, hardware, models and what they have to do, trust zone, since when. Works on every machine of the mesh while its node runs.',
  options: {
    data: { type: 'string', value: 'DIR', help: 'the data folder of the mesh, or of the node that joined it' },
    json: jsonOption,
  },
  run: runNodes,
}

const advertSchema = z.object({
  since: z.number().optional(),
  hardware: hardwareAdvertSchema.optional(),
  model: z.string().nullish(),
  zone: z.string().nullish(),
  sandbox: z.boolean().optional(),
  offers: z.array(offerSchema).optional().catch(undefined),
  memoryFree: z.number().optional().catch(undefined),
  auditLag: z.number().optional().catch(undefined),
  drainingGpus: z.array(z.string()).optional().catch(undefined),
  policy: policyAdvertSchema.optional().catch(undefined),
})

interface Row {
  name: string
  roles: readonly string[]
  /** As its certificate says. */
  labels: readonly string[]
  hardware: string | null
  /** What can be drained alone, by its `uuid`; bytes. null where nothing says. */
  accelerators: {
    name: string
    uuid: string | null
    mig: string | null
    memory: { total: number; free: number } | null
  }[]
  model: string | null
  /** All that it offers: what each has to do, whether it is loaded, why it takes nothing. */
  models: ModelRow[]
  zone: string | null
  sandbox: boolean
  /** Bytes; null: it does not say. */
  memoryFree: number | null
  /** What its actions may do: "ask-first", "strict.yaml v3". */
  policy: string | null
  /** How that differs from what the mesh wants: "version 2 of 3", "a policy of its own". */
  drift: string | null
  /** Audit events on its disk that are not on the stream yet, as it last said; null: it does not say. */
  auditLag: number | null
  /** ISO 8601. */
  since: string | null
  draining: boolean
  drainingGpus: string[]
  /** Of programs: what it puts before MCP clients. */
  catalogs: string[]
}

interface ModelRow {
  name: string
  /** Over its files; null where nobody says. */
  digest: string | null
  backend: string | null
  loaded: boolean
  slots: number
  running: number
  queued: number
  /** Tokens a second of one prompt, of one answer, and of `slots` answers together; null: not measured yet. */
  prefill: number | null
  decode: number | null
  together: number | null
  /** Whether these were measured when it was loaded, or learned from answers since. */
  speedFrom: 'load' | 'answers' | null
  draining: string | null
  /** Why it would give no answer: its server is gone. */
  away: string | null
}

async function runNodes(_: string | undefined, values: Values): Promise<number> {
  const data = runningData(text(values, 'data'))
  const rows = (await lookAtMesh(data, rowsOf)).sort((a, b) => a.name.localeCompare(b.name))
  process.stdout.write(
    values['json'] ? `${JSON.stringify({ ok: true, nodes: rows })}\n` : `${printable(table(rows))}\n`,
  )
  return 0
}

function rowsOf({ directory }: Outlook): Row[] {
  const catalogs = directory.actors().filter(({ name }) => name.startsWith(catalogPrefix))
  return directory.nodes().map((node) => ({
    ...rowOf(node, directory.policy),
    catalogs: catalogs.filter((one) => one.node === node.name).map(({ name }) => name.slice(catalogPrefix.length)),
  }))
}

function rowOf(
  { name, roles, labels, draining, advert }: NodeInfo,
  newestPolicy: Outlook['directory']['policy'],
): Omit<Row, 'catalogs'> {
  const said = advertSchema.safeParse(advert)
  const { since, hardware, model, zone, sandbox, policy, ...more } = said.success ? said.data : {}
  const { offers, memoryFree, drainingGpus, auditLag } = more
  return {
    name,
    roles,
    labels,
    hardware: hardware ? machineWords(hardware) : null,
    accelerators: (hardware?.accelerators ?? []).map(({ name, uuid, mig, memory }) => ({
      name: name.value,
      uuid: uuid?.value ?? null,
      mig: mig?.value ?? null,
      memory: memory?.value ?? null,
    })),
    model: model ?? null,
    models: (offers ?? []).map((offer) => ({
      name: offer.model,
      digest: offer.digest ?? null,
      backend: offer.backend ?? null,
      loaded: offer.unloaded === undefined,
      slots: offer.slots,
      running: offer.running,
      queued: offer.queued,
      prefill: offer.speed?.prefill ?? null,
      decode: offer.speed?.decode ?? null,
      together: offer.speed?.batch?.decode ?? null,
      speedFrom: offer.speedFrom ?? null,
      draining: offer.draining ?? null,
      away: offer.away ?? null,
    })),
    zone: zone ?? null,
    sandbox: sandbox ?? false,
    memoryFree: memoryFree ?? null,
    policy: policy ? `${policy.name}${policy.version === null ? '' : ` v${policy.version}`}` : null,
    drift: (policy && driftOf(policy, newestPolicy)) ?? null,
    auditLag: auditLag ?? null,
    since: since === undefined ? null : new Date(since).toISOString(),
    draining,
    drainingGpus: drainingGpus ?? [],
  }
}

function table(rows: Row[]): string {
  const head = ['NAME', 'ROLES', 'HARDWARE', 'FREE', 'MODEL', 'LOAD', 'TOKENS/S', 'ZONE', 'POLICY', 'SINCE', '']
  const lines = rows.flatMap(({ name, roles, hardware, memoryFree, models, model, zone, policy, since, ...row }) => {
    const [first, ...others] = models
    const own = [name, roles.join(','), hardware ?? '-', memoryFree ? `${Math.round(memoryFree / 1e9)} GB` : '-']
    const rest = [zone ?? '-', policy ?? '-', since?.replace(/\..*$/, 'Z') ?? '-', remarks(row)]
    return [
      [...own, first?.name ?? model ?? '-', ...(first ? said(first) : ['-', '-']), ...rest],
      ...others.map((other) => ['', '', '', '', other.name, ...said(other)]),
    ]
  })
  return columns(head, lines)
}

const said = (model: ModelRow): [load: string, speed: string] => [load(model), speed(model)]

/** "reads 900, writes 81, 8 at once 340". */
function speed({ prefill, decode, together, slots }: ModelRow): string {
  if (prefill === null || decode === null) return '-'
  const alone = `reads ${rounded(prefill)}, writes ${rounded(decode)}`
  return together === null ? alone : `${alone}, ${slots} at once ${rounded(together)}`
}

const rounded = (rate: number): string => (rate < 10 ? rate.toFixed(1) : String(Math.round(rate)))

/** "3/8, 2 waiting". */
function load({ loaded, slots, running, queued, draining, away }: ModelRow): string {
  if (away !== null) return 'gone'
  if (draining !== null) return 'takes none'
  if (!loaded) return queued > 0 ? `loading, ${queued} waiting` : 'not loaded'
  return `${running}/${slots}${queued > 0 ? `, ${queued} waiting` : ''}`
}

type Remarkable = Pick<Row, 'labels' | 'draining' | 'drainingGpus' | 'drift' | 'auditLag' | 'catalogs'>

function remarks({ labels, draining, drainingGpus, drift, auditLag, catalogs }: Remarkable): string {
  const drains = drainingGpus.length > 0 ? `draining ${drainingGpus.join(', ')}` : ''
  return [
    labels.join(' '),
    draining ? 'draining' : drains,
    drift === null ? '' : `policy: ${drift}`,
    auditLag ? `${auditLag} audit events wait` : '',
    ...catalogs.map((name) => `catalog ${name}`),
  ]
    .filter(Boolean)
    .join(', ')
}
