/** `clawmesh invite`: one string that brings one machine into the mesh of this data folder. */

import { join } from 'node:path'
import { ClawmeshError } from '../../../policies/errors.js'
import { type Role, roles } from '../../../policies/roles.js'
import { isLoopback, type Reachable, readReachable } from '../../authority/address.js'
import { issueInvitation } from '../../authority/issue.js'
import { isRunning } from '../../data-folder.js'
import { type Command, text, type Values } from '../command.js'
import { readDuration } from '../duration.js'
import { readLabels } from '../labels.js'
import { dataFolder, dataOption, jsonOption } from '../options.js'
import { progress } from '../terminal.js'

const usual: readonly Role[] = ['inference', 'worker', 'sandbox']

export const invite: Command = {
  name: 'invite',
  usage: '[--roles inference,worker,sandbox] [--labels site=berlin,gpu] [--name NAME] [--expires 1h]',
  help: 'Prints an invitation for one machine. Type it where the mesh runs; whoever has the string can join, so hand it over as you would a password.',
  options: {
    roles: { type: 'string', value: 'LIST', help: `what the machine may be (default: ${usual.join(',')})` },
    labels: { type: 'string', value: 'LIST', help: 'what its certificate says of it: words, or KEY=VALUE' },
    name: { type: 'string', value: 'NAME', help: 'what it will be called (default: as it likes)' },
    expires: { type: 'string', value: 'TIME', help: 'how long the invitation is good: 15m, 1h (default), 7d' },
    data: dataOption,
    json: jsonOption,
  },
  run: runInvite,
}

async function runInvite(_: string | undefined, values: Values): Promise<number> {
  const data = dataFolder(values)
  const wish = {
    roles: readRoles(text(values, 'roles')),
    labels: readLabels(text(values, 'labels')) ?? [],
    name: text(values, 'name'),
    lifeMs: readDuration(text(values, 'expires') ?? '1h', 'expires'),
  }
  const reachable = reachableOf(data)
  const invitation = issueInvitation(join(data, 'authority'), reachable, wish, Date.now())
  // A machine of a person who approves offers nothing, and does nothing else.
  const isApprover = wish.roles.length === 1 && wish.roles[0] === 'approver'
  const command = `npm run clawmesh -- ${isApprover ? 'approve follow --join' : 'join'} ${invitation}`
  if (values['json']) {
    process.stdout.write(`${JSON.stringify({ ok: true, invitation, command, servers: reachable.servers })}\n`)
    return 0
  }
  progress(`Good once, for ${text(values, 'expires') ?? '1h'}. On the new machine, in a clone of clawmesh, type:`)
  process.stdout.write(`${command}\n`)
  if (reachable.servers.every((url) => isLoopback(new URL(url).hostname.replace(/[[\]]/g, ''))))
    progress(
      'Only this machine reaches the mesh: for others, start it with `clawmesh up --listen 0.0.0.0` and invite again.',
    )
  return 0
}

/** Rejects if the mesh of this folder does not run. */
export function reachableOf(data: string): Reachable {
  const reachable = isRunning(data) ? readReachable(join(data, 'authority')) : undefined
  if (reachable) return reachable
  throw new ClawmeshError('UNREACHABLE', `No mesh runs in ${data}.`, {
    hint: 'Start it with `clawmesh up`, on the machine and with the data folder that hold its authority.',
  })
}

function readRoles(given: string | undefined): Role[] {
  if (given === undefined) return [...usual]
  const offered = roles.filter((role) => role !== 'authority')
  return given.split(',').map((word) => {
    const role = offered.find((name) => name === word.trim())
    if (role) return role
    throw new ClawmeshError('USAGE', `"${word}" is no role that can be given away.`, {
      hint: `Roles: ${offered.join(', ')}.`,
    })
  })
}
