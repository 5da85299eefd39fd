/** `clawmesh nodes`: who is in the mesh, as this machine's own node sees it. */
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { hardwareAdvertSchema } from '../../../inference/hardware.js'
import type { NodeInfo } from '../../../mesh/directory.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { readConfig } from '../../config.js'
import { isRunning } from '../../data-folder.js'
import { lookAtMesh, type Outlook } from '../../member/onlooker.js'
import { driftOf, policyAdvertSchema } from '../../process/standing-policy.js'
import { columns } from '../columns.js'
import { type Command, text, type Values } from '../command.js'
import { jsonOption } from '../options.js'
import { printable } from '../printable.js'

export const nodes: Command = {
  name: 'nodes',
  usage: '[--json]',
  help: 'Lists the nodes of the mesh: roles, hardware, model, trust zone, since when. Works on every machine of the mesh while its node runs.',
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
  policy: policyAdvertSchema.optional().catch(undefined),
})

interface Row {
  name: string
  roles: readonly string[]
  hardware: string | null
  model: string | null
  zone: string | null
  sandbox: boolean
  /** What its actions may do: "ask-first", "strict.yaml v3". */
  policy: string | null
  /** How that differs from what the mesh wants: "version 2 of 3", "a policy of its own". */
  drift: string | null
  /** ISO 8601. */
  since: string | null
  draining: boolean
}

async function runNodes(_: string | undefined, values: Values): Promise<number> {
  const config = readConfig()
  const named = text(values, 'data')
  const folders = named === undefined ? [config.data, join(config.data, '..', 'joined')] : [resolve(named)]
  const data = folders.find(isRunning)
  if (data === undefined)
    throw new ClawmeshError('UNREACHABLE', `No node runs in ${folders.join(' or ')}.`, {
      hint: 'Start it with `clawmesh up` or `clawmesh join`, or name its data folder with --data.',
    })
  const rows = (await lookAtMesh(data, rowsOf)).sort((a, b) => a.name.localeCompare(b.name))
  process.stdout.write(
    values['json'] ? `${JSON.stringify({ ok: true, nodes: rows })}\n` : `${printable(table(rows))}\n`,
  )
  return 0
}

const rowsOf = ({ directory }: Outlook): Row[] =>
  directory.nodes().map((node) => rowOf(node, directory.policy?.version))

function rowOf({ name, roles, draining, advert }: NodeInfo, newestPolicy: number | undefined): Row {
  const said = advertSchema.safeParse(advert)
  const { since, hardware, model, zone, sandbox, policy } = said.success ? said.data : {}
  return {
    name,
    roles,
    hardware: hardware ? machine(hardware) : null,
    model: model ?? null,
    zone: zone ?? null,
    sandbox: sandbox ?? false,
    policy: policy ? `${policy.name}${policy.version === null ? '' : ` v${policy.version}`}` : null,
    drift: (policy && driftOf(policy, newestPolicy)) ?? null,
    since: since === undefined ? null : new Date(since).toISOString(),
    draining,
  }
}

/** "4 x NVIDIA H100 80GB HBM3, 32 threads, 251 GB". */
function machine({ cpu, memory, accelerators }: z.output<typeof hardwareAdvertSchema>): string {
  const counted = new Map<string, number>()
  for (const { name } of accelerators) counted.set(name.value, (counted.get(name.value) ?? 0) + 1)
  const gpus = [...counted].map(([name, count]) => (count > 1 ? `${count} x ${name}` : name))
  return [...gpus, `${cpu.threads.value} threads`, `${Math.round(memory.value.total / 1e9)} GB`].join(', ')
}

function table(rows: Row[]): string {
  const head = ['NAME', 'ROLES', 'HARDWARE', 'MODEL', 'ZONE', 'POLICY', 'SINCE', '']
  const lines = rows.map(({ name, roles, hardware, model, zone, policy, drift, since, draining }) => [
    name,
    roles.join(','),
    hardware ?? '-',
    model ?? '-',
    zone ?? '-',
    policy ?? '-',
    since?.replace(/\..*$/, 'Z') ?? '-',
    [draining ? 'draining' : '', drift === null ? '' : `policy: ${drift}`].filter(Boolean).join(', '),
  ])
  return columns(head, lines)
}
