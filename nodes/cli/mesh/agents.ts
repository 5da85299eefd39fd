/** `clawmesh agents`: who works in the mesh now. */
import { lookAtMesh, runningData } from '../../member/onlooker.js'
import { type Roster, rosterOf } from '../../roster.js'
import { columns } from '../columns.js'
import { type Command, text } from '../command.js'
import { jsonOption } from '../options.js'
import { printable } from '../printable.js'

export const agents: Command = {
  name: 'agents',
  usage: '[--all] [--json]',
  help: 'Lists the agents that work in the mesh now and the tasks that are being done, each with its node, and what each node can start. Works on every machine of the mesh while its node runs.',
  options: {
    all: { type: 'boolean', help: 'with what nodes are always there for: sandboxes, models, the desk for approvals' },
    data: { type: 'string', value: 'DIR', help: 'the data folder of the mesh, or of the node that joined it' },
    json: jsonOption,
  },
  run: async (_, values) => {
    const roster = await lookAtMesh(runningData(text(values, 'data')), ({ directory }) => rosterOf(directory))
    const shown = values['all'] === true ? roster.agents : roster.agents.filter(({ kind }) => kind !== 'service')
    if (values['json']) process.stdout.write(`${JSON.stringify({ ok: true, ...roster, agents: shown })}\n`)
    else process.stdout.write(`${printable(words({ ...roster, agents: shown }))}\n`)
    return 0
  },
}

function words({ agents, hosted }: Roster): string {
  const rows = agents.map(({ name, node, kind }) => [name, kind, node])
  const now = rows.length > 0 ? columns(['NAME', 'KIND', 'NODE'], rows) : 'Nobody works in the mesh at the moment.'
  const starts = hosted.map(({ definition, nodes }) => `  ${definition}: ${nodes.join(', ')}`)
  return starts.length > 0 ? [now, '', 'Can be started:', ...starts].join('\n') : now
}
