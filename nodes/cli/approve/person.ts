/** The node by which a command asks for questions and answers them: a guest on the machine of the authority, an approver's own anywhere else. */
import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { openChain } from '../../../mesh/audit/chain.js'
import { joinMesh, type MeshNode } from '../../../mesh/index.js'
import { readCredentials } from '../../../mesh/seal/credentials.js'
import { connectNats } from '../../../mesh/transport/nats.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { approvalsName, ListApprovals } from '../../approvals/messages.js'
import { readInvitation } from '../../authority/invitation.js'
import { notRunning, openLiveGround } from '../../authority/live.js'
import { readConfig } from '../../config.js'
import { type DataFolder, type DataPaths, dataPaths, openDataFolder } from '../../data-folder.js'
import { readAccess } from '../../member/access.js'
import { freshened } from '../../member/certified.js'
import { enrolBy } from '../../member/enrol.js'
import { joinAsGuest } from '../../member/guest.js'
import { nodeFiles } from '../../member/member.js'
import { openTraces } from '../../traces.js'
import { type Option, text, type Values } from '../command.js'

export const personOptions: Record<'data' | 'join' | 'name', Option> = {
  data: {
    type: 'string',
    value: 'DIR',
    help: "the data folder of the mesh, or of the approver's own keys (default: the mesh here, else ~/.local/share/clawmesh/approver)",
  },
  join: {
    type: 'string',
    value: 'INVITATION',
    help: 'become an approver by this invitation (`clawmesh invite --roles approver`)',
  },
  name: {
    type: 'string',
    value: 'name',
    help: 'with --join: what you are called (default: your name on this machine)',
  },
}

/** How long whoever keeps the questions may take to be seen. */
const lookMs = 6000

export async function asPerson<T>(values: Values, use: (node: MeshNode) => Promise<T>): Promise<T> {
  const { data: usual } = readConfig()
  const named = text(values, 'data')
  const own = join(dirname(usual), 'approver')
  const isOwn = text(values, 'join') !== undefined || !existsSync(dataPaths(resolve(named ?? usual)).authority)
  const { node, end } = isOwn ? await asMember(resolve(named ?? own), values) : await asGuest(resolve(named ?? usual))
  try {
    await node.directory.wait(() => node.directory.locate(approvalsName), lookMs)
    return await use(node)
  } finally {
    await end()
  }
}

async function asGuest(data: string) {
  const ground = await openLiveGround(data)
  if (!ground) throw notRunning(data)
  try {
    const guest = await joinAsGuest(ground, data, ['gateway'])
    return { node: guest.node, end: () => guest.end().finally(() => ground.close()) }
  } catch (error) {
    await ground.close()
    throw error
  }
}

async function asMember(data: string, values: Values) {
  // A folder is made for whoever joins, and not for a slip of the hand.
  if (text(values, 'join') === undefined && !existsSync(data)) throw nobodyHere(data)
  checkApprover(data)
  const folder = openOwn(data)
  try {
    const node = await member(folder, values)
    return { node, end: () => node.close().finally(() => folder.release()) }
  } catch (error) {
    folder.release()
    throw error
  }
}

/** A machine that joined has keys of its own, and they answer no questions: whether it runs changes nothing of that. Throws DENIED. */
function checkApprover(data: string): void {
  const folder = dataPaths(data)
  const known = memberOf(folder)
  if (known === undefined) return
  const { roles } = readCredentials(nodeFiles(folder, known).credentials, undefined).certificate
  if (ListApprovals.from !== 'members' && ListApprovals.from.some((role) => roles.includes(role))) return
  throw new ClawmeshError('DENIED', `${data} is of node "${known}", which is no approver: it is ${roles.join(', ')}.`, {
    hint: "Type where the mesh runs: clawmesh invite --roles approver. Then here, in a folder of the approver's own: `clawmesh approve follow --join INVITATION --data DIR`.",
  })
}

/** A key is one node of the mesh, in one process at a time. */
function openOwn(data: string): DataFolder {
  try {
    return openDataFolder(data)
  } catch (error) {
    if (ClawmeshError.from(error).code !== 'DATA_IN_USE') throw error
    throw new ClawmeshError(
      'DATA_IN_USE',
      `Another \`clawmesh approve\` uses the keys in ${data} now, and one at a time can.`,
      {
        hint: 'Answer where it runs, at the terminal of `clawmesh approve follow`, or end that one first. For both at once, join by a second invitation in another folder: `clawmesh approve follow --join INVITATION --data DIR`.',
        cause: error,
      },
    )
  }
}

async function member(folder: DataFolder, values: Values): Promise<MeshNode> {
  const name = await nameIn(folder, values)
  const files = nodeFiles(folder, name)
  const earlier = readCredentials(files.credentials, undefined)
  const transport = await connectNats({ ...readAccess(files.access), name: earlier.certificate.holder })
  try {
    const credentials = await freshened(earlier, files, transport)
    return await joinMesh({
      credentials,
      transport,
      chain: openChain(files.chain),
      spans: openTraces(readConfig().traces, name),
    })
  } catch (error) {
    await transport.close()
    throw error
  }
}

/** By the invitation if one is given; one whose invitation was taken already is told so by the authority. */
async function nameIn(folder: DataFolder, values: Values): Promise<string> {
  const invitation = text(values, 'join')
  const known = memberOf(folder)
  if (invitation !== undefined && known === undefined)
    return enrolBy(readInvitation(invitation, Date.now()), folder, {
      name: text(values, 'name') ?? userName(),
      roles: ['approver'],
    })
  if (known !== undefined) return known
  throw nobodyHere(folder.path)
}

const memberOf = (folder: DataPaths): string | undefined =>
  folder.nodes().find((name) => existsSync(nodeFiles(folder, name).credentials))

const nobodyHere = (data: string): ClawmeshError =>
  new ClawmeshError('USAGE', `There is no mesh here, and no approver's keys in ${data}.`, {
    hint: 'Type where the mesh runs: clawmesh invite --roles approver. Then here: `clawmesh approve follow --join INVITATION`, with what it prints.',
  })

function userName(): string {
  const name = userInfo()
    .username.toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
  return name.replace(/^-+/, '').slice(0, 63) || 'approver'
}
