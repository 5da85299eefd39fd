/** What a machine offers to a mesh, from what its person said; kept in its data folder, so that it offers the same after a reboot without being told again. */
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { writeWhole } from '../../mesh/disk.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { Role } from '../../policies/roles.js'
import { readPolicy } from '../../sandbox/preset.js'
import type { Workspace } from '../../sandbox/workspace.js'
import { type McpPlan, readMcpFile } from '../agents/mcp/file.js'
import { checkNodeName } from '../authority/register.js'
import type { NodePlan } from '../process/plan.js'
import { checkApart, checkWorkspace } from '../workspace.js'

const offerSchema = z.object({
  name: z.string().optional(),
  /** A folder that actions may be about; without one the machine runs none. */
  workspace: z.string().optional(),
  /** What its files are called where other machines have them, too. */
  shared: z.string().optional(),
  /** A preset or a file; `mesh`: that of the mesh, and `ask-first` until it has one. */
  policy: z.string(),
  /** A file of MCP servers that are run here. */
  mcp: z.string().optional(),
  /** A model folder, or "shipped"; a model server of this machine, else the shipped one, if left out. */
  model: z.string().optional(),
  /** Models of the store that may be loaded when they are asked for: "all", or names with commas; none, if left out. */
  models: z.string().optional(),
  /** Most bytes of memory for them, and how long one that is asked nothing stays. */
  modelMemory: z.number().positive().optional(),
  modelIdleMs: z.number().positive().optional(),
})
export type Offer = z.output<typeof offerSchema>

export const ofMesh = 'mesh'
const untilThen = 'ask-first'

const fileOf = (data: string) => join(data, 'offer.json')

/** What is given now, and for the rest what was given last time. */
export function recallOffer(data: string, given: Partial<Offer>): Offer {
  const said = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  if (!existsSync(fileOf(data))) return withoutEnded({ policy: ofMesh, ...said })
  try {
    const kept = offerSchema.parse(JSON.parse(readFileSync(fileOf(data), 'utf8')))
    // What was said of one folder is not said of another.
    if (given.workspace !== undefined && given.workspace !== kept.workspace) delete kept.shared
    return withoutEnded({ ...kept, ...said })
  } catch (cause) {
    throw new ClawmeshError('USAGE', `${fileOf(data)} cannot be read.`, {
      hint: 'Remove it, and say what this machine offers once more.',
      cause,
    })
  }
}

/** What a person says to end what is remembered. */
export const noLonger = 'none'

const withoutEnded = ({ shared, mcp, ...offer }: Offer): Offer => ({
  ...offer,
  ...(shared === undefined || shared === noLonger ? {} : { shared }),
  ...(mcp === undefined || mcp === noLonger ? {} : { mcp }),
})

export const keepOffer = (data: string, offer: Offer): void => writeWhole(fileOf(data), JSON.stringify(offer, null, 2))

/** What requests are about: the folder that is named, and without a name what the machine offers. Undefined where there is neither. */
export function workspaceOf(data: string, named: string | undefined): Workspace | undefined {
  const { workspace: offered, shared } = recallOffer(data, {})
  if (named === undefined) return offered === undefined ? undefined : { folder: offered, shared }
  const folder = resolve(named)
  const isOffered = offered !== undefined && existsSync(folder) && realpathSync(folder) === realpathSync(offered)
  return { folder, shared: isOffered ? shared : undefined }
}

/** The roles that the machine can fill with it, and what its node process is told. */
export async function planOffer(
  offer: Offer,
  data: string,
  inference: NonNullable<NodePlan['inference']>,
): Promise<{ roles: Role[]; plan: Pick<NodePlan, 'sandbox' | 'inference' | 'mcp'> }> {
  const { name: named, workspace, shared, policy, mcp } = offer
  if (named !== undefined) checkNodeName(named)
  const { name, text } = await readPolicy(policy === ofMesh ? untilThen : policy)
  if (workspace === undefined && shared !== undefined)
    throw new ClawmeshError('USAGE', 'Files are shared by a name, and this machine has none to act on.', {
      hint: 'Give --workspace, the folder that they are in, beside --shared.',
    })
  if (workspace === undefined && mcp !== undefined)
    throw new ClawmeshError('USAGE', 'MCP servers run in sandboxes, and this machine offers none.', {
      hint: 'Give --workspace, the folder that they may read, beside --mcp.',
    })
  if (workspace === undefined) return { roles: ['worker', 'inference'], plan: { inference } }
  checkWorkspace(workspace)
  checkApart(workspace, data)
  const sandbox = { workspace, shared, policy: text, policyName: name, follows: policy === ofMesh }
  const servers = mcp === undefined ? {} : { mcp: await readServers(mcp, workspace, data) }
  return { roles: ['worker', 'inference', 'sandbox'], plan: { inference, sandbox, ...servers } }
}

/** A file that was named at an earlier start is not what the person typed now: whoever reads what is wrong with it is told where its name comes from. */
async function readServers(mcp: string, workspace: string, data: string): Promise<McpPlan[]> {
  try {
    return await readMcpFile(mcp, workspace)
  } catch (error) {
    if (recallOffer(data, {}).mcp !== mcp) throw error
    const { code, message, hint } = ClawmeshError.from(error)
    const whence = `${fileOf(data)} remembers the file from an earlier start: --mcp FILE names another, --mcp ${noLonger} ends it.`
    throw new ClawmeshError(code, message, { hint: `${hint} ${whence}`.trim(), cause: error })
  }
}

/** The machine's own name, as a node's. */
export function machineName(): string {
  const name = (hostname().split('.')[0] ?? '').toLowerCase().replaceAll(/[^a-z0-9-]+/g, '-')
  return name.replace(/^-+/, '').slice(0, 63) || 'node'
}
