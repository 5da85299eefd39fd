/** `clawmesh nodes drain` and `undrain`: takes a node, or one of its GPUs, out of use and puts it back, without ending anything. */
import { ClawmeshError } from '../../../policies/errors.js'
import { notRunning, openLiveGround } from '../../authority/live.js'
import { joinAsGuest } from '../../member/guest.js'
import { Drain, drainName } from '../../process/drain.js'
import { supervisingNode } from '../../site.js'
import { type Command, text, type Values } from '../command.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'
import { progress } from '../terminal.js'

const options: Command['options'] = {
  gpu: { type: 'string', value: 'UUID', help: 'this GPU alone, as nvidia-smi names it: models that may use it stop' },
  data: dataOption,
  json: jsonOption,
}

export const nodesDrain: Command = {
  name: 'nodes drain',
  usage: 'NAME [--gpu UUID]',
  help: 'Has a node take no new work; what it is doing goes on to its end. It stays so, also when it is started again, until `nodes undrain`. Type it where the mesh runs.',
  options,
  takes: 'name of a node',
  run: (name, values) => order(name, true, values),
}

export const nodesUndrain: Command = {
  name: 'nodes undrain',
  usage: 'NAME [--gpu UUID]',
  help: 'Puts a node, or a GPU of it, that was drained to use again.',
  options,
  takes: 'name of a node',
  run: (name, values) => order(name, false, values),
}

async function order(name: string | undefined, draining: boolean, values: Values): Promise<number> {
  if (name === undefined)
    throw new ClawmeshError('USAGE', 'Which node?', {
      hint: `\`clawmesh nodes\` lists them: \`clawmesh nodes ${draining ? 'drain' : 'undrain'} NAME\`.`,
    })
  if (name === supervisingNode)
    throw new ClawmeshError('USAGE', `Node "${name}" supervises the mesh and serves no model.`, {
      hint: 'To end the mesh, stop `clawmesh up`.',
    })
  const data = dataFolder(values)
  const gpu = text(values, 'gpu') ?? null
  const ground = await openLiveGround(data)
  if (!ground) throw notRunning(data)
  try {
    const { node, end } = await joinAsGuest(ground, data, ['supervisor'])
    try {
      if (!node.directory.node(name))
        throw new ClawmeshError('NOT_FOUND', `The mesh has no node named "${name}" now.`, {
          hint: `It has: ${node
            .nodes()
            .map((each) => each.name)
            .filter((each) => each !== node.name)
            .join(', ')}.`,
        })
      const drained = await node.ref(drainName(name)).ask(Drain, { draining, gpu })
      if (values['json']) process.stdout.write(`${JSON.stringify({ ok: true, name, ...drained })}\n`)
      else progress(said(name, gpu, draining))
      return 0
    } finally {
      await end()
    }
  } finally {
    await ground.close()
  }
}

function said(name: string, gpu: string | null, draining: boolean): string {
  const what = gpu === null ? `"${name}"` : `The GPU ${gpu} of "${name}"`
  return draining ? `${what} takes no new work; what it is doing goes on to its end.` : `${what} takes work again.`
}
