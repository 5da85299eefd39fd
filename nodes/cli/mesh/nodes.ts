/** `clawmesh nodes`: who is in the mesh, as this machine's own node sees it. */

import { z } from 'zod'
import { hardwareAdvertSchema } from '../../../inference/hardware.js'
import { offerSchema } from '../../../inference/place.js'
import type { NodeInfo } from '../../../mesh/index.js'
import { lookAtMesh } from '../../member/look.js'
import { machineWords } from '../../member/machine.js'
import { type Command, text, type Values } from '../command.js'
import { jsonOption } from '../options.js'
import { printable } from '../printable.js'
import { columns } from '../table.js'

export const nodes: Command = {
  name: 'nodes',
  usage: '[--json]',
  help: 'Lists the nodes of the mesh: roles, hardware, models and what they have to do, trust zone, since when. Works on every machine of the mesh while its node runs.',
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
  drainingGpus: z.array(z.string()).optional().catch(undefined),
})

interface Row {
  name: string
  roles: readonly string[]
  hardware: string | null
  model: string | null
  /** All that it offers: what each has to do, whether it is loaded, why it takes nothing. */
  models: ModelRow[]
  zone: string | null
  sandbox: boolean
  /** Bytes; null: it does not say. */
  memoryFree: number | null
  /** ISO 8601. */
  since: string | null
  draining: boolean
  drainingGpus: string[]
}

interface ModelRow {
  name: string
  loaded: boolean
  slots: number
  running: number
  queued: number
  /** Tokens a second of one answer; null: not measured yet. */
  decode: number | null
  draining: string | null
}

async function runNodes(_: string | undefined, values: Values): Promise<number> {
  const rows = (await lookAtMesh(text(values, 'data'))).map(rowOf)
  process.stdout.write(
    values['json'] ? `${JSON.stringify({ ok: true, nodes: rows })}\n` : `${printable(table(rows))}\n`,
  )
  return 0
}

function rowOf({ name, roles, draining, advert }: NodeInfo): Row {
  const said = advertSchema.safeParse(advert)
  const { since, hardware, model, zone, sandbox, offers, memoryFree, drainingGpus } = said.success ? said.data : {}
  return {
    name,
    roles,
    hardware: hardware ? machineWords(hardware) : null,
    model: model ?? null,
    models: (offers ?? []).map((offer) => ({
      name: offer.model,
      loaded: offer.unloaded === undefined,
      slots: offer.slots,
      running: offer.running,
      queued: offer.queued,
      decode: offer.speed?.decode ?? null,
      draining: offer.draining ?? null,
    })),
    zone: zone ?? null,
    sandbox: sandbox ?? false,
    memoryFree: memoryFree ?? null,
    since: since === undefined ? null : new Date(since).toISOString(),
    draining,
    drainingGpus: drainingGpus ?? [],
  }
}

function table(rows: Row[]): string {
  const head = ['NAME', 'ROLES', 'HARDWARE', 'FREE', 'MODEL', 'LOAD', 'ZONE', 'SINCE', '']
  const lines = rows.flatMap(({ name, roles, hardware, memoryFree, models, model, zone, since, ...row }) => {
    const [first, ...others] = models
    const own = [name, roles.join(','), hardware ?? '-', memoryFree ? `${Math.round(memoryFree / 1e9)} GB` : '-']
    const rest = [zone ?? '-', since?.replace(/\..*$/, 'Z') ?? '-', drainOf(row)]
    return [
      [...own, first?.name ?? model ?? '-', first ? load(first) : '-', ...rest],
      ...others.map((other) => ['', '', '', '', other.name, load(other)]),
    ]
  })
  return columns([head, ...lines])
}

/** "3/8, 2 waiting". */
function load({ loaded, slots, running, queued, draining }: ModelRow): string {
  if (draining !== null) return 'takes none'
  if (!loaded) return queued > 0 ? `loading, ${queued} waiting` : 'not loaded'
  return `${running}/${slots}${queued > 0 ? `, ${queued} waiting` : ''}`
}

function drainOf({ draining, drainingGpus }: Pick<Row, 'draining' | 'drainingGpus'>): string {
  if (draining) return 'draining'
  return drainingGpus.length > 0 ? `draining ${drainingGpus.join(', ')}` : ''
}
