/** `clawmesh revoke`: ends a node's membership, at once and for good. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ClawmeshError } from '../../../policies/errors.js'
import { readReachable } from '../../authority/address.js'
import { revokeNode } from '../../authority/issue.js'
import { isRunning } from '../../data-folder.js'
import { configurationFile } from '../../outside.js'
import { supervisingNode } from '../../site.js'
import type { Command, Values } from '../command.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'
import { progress } from '../terminal.js'

export const revoke: Command = {
  name: 'revoke',
  usage: 'NAME',
  help: 'Cuts a node off: the broker drops it, the others refuse whatever it sends, and it is never certified again. Type it where the mesh runs.',
  options: {
    data: dataOption,
    json: jsonOption,
  },
  takes: 'name of a node',
  run: runRevoke,
}

async function runRevoke(name: string | undefined, values: Values): Promise<number> {
  if (name === undefined)
    throw new ClawmeshError('USAGE', 'Which node?', { hint: '`clawmesh nodes` lists them: `clawmesh revoke NAME`.' })
  if (name === supervisingNode)
    throw new ClawmeshError('USAGE', `Node "${name}" speaks for the authority itself.`, {
      hint: 'To end the mesh, stop `clawmesh up` and remove its data folder.',
    })
  const data = dataFolder(values)
  const authority = join(data, 'authority')
  if (!existsSync(authority))
    throw new ClawmeshError('USAGE', `There is no authority in ${data}.`, {
      hint: 'Type it on the machine where the mesh was made, or name its data folder with --data.',
    })
  const running = isRunning(data) ? readReachable(authority) : undefined
  if (existsSync(join(data, 'nodes', name, 'credentials.json')))
    throw new ClawmeshError('USAGE', `Node "${name}" runs on this machine, beside the authority.`, {
      hint: 'Stop `clawmesh up` to end it; `clawmesh up --name OTHER` begins with another name. Revoking is for machines that joined.',
    })
  const holder = await revokeNode(authority, running, name, Date.now())
  if (values['json']) process.stdout.write(`${JSON.stringify({ ok: true, name, holder, running: Boolean(running) })}\n`)
  else progress(`"${name}" is revoked${running ? '' : '; the mesh does not run, and holds to it when it does'}.`)
  if (running?.isOutside)
    progress(
      `The other nodes refuse it from now on. The NATS servers let it in until whoever runs them takes over the changed ${configurationFile(authority)}.`,
    )
  return 0
}
