/**
 * Where a command puts several agents to work: the mesh that runs here, with every machine and model that joined it, or where none runs a mesh of the command's own, on this
 * machine, which ends with it.
 */
import { resolve } from 'node:path'
import type { MeshNode } from '../../../mesh/index.js'
import type { SubjectStore } from '../../../mesh/seal/subject-store.js'
import { openTasks, type Tasks } from '../../../mesh/task/tasks.js'
import { ClawmeshError } from '../../../policies/errors.js'
import type { Workspace } from '../../../sandbox/workspace.js'
import { workPlaces } from '../../agents/job/request.js'
import { type LiveGround, openLiveGround } from '../../authority/live.js'
import { readConfig } from '../../config.js'
import { openDataFolder, openFreeDataFolder } from '../../data-folder.js'
import { joinAsGuest } from '../../member/guest.js'
import { machineName, recallOffer, workspaceOf } from '../../member/offer.js'
import type { AuditTrail } from '../../trail.js'
import { progress } from '../terminal.js'
import { introduceModels, passNotesOn } from './introduce.js'
import { type OwnMesh, startOwnMesh, workAndDrain } from './own-mesh.js'

export interface Stage {
  readonly node: MeshNode
  readonly tasks: Tasks
  readonly subjects: SubjectStore
  /** Nodes that agents can be put on. */
  readonly places: readonly string[]
  /** The folder that sandboxes of this machine work on, and the nodes that have them. */
  readonly workspace: Workspace | undefined
  readonly here: readonly string[]
}

export interface Staging {
  /** As `--data` names it. */
  data: string | undefined
  /** As `--model` names it: one that is named is that of a mesh of the command's own. */
  model: string | undefined
  /** The definition of the agents. */
  hosting: string
  /** Why the mesh that runs here will not do; undefined where it does. */
  unsuited?: (data: string) => string | undefined
  /** Of a mesh of its own, whose data folder is this. */
  own: (data: string) => Pick<OwnMesh, 'names' | 'sandbox'>
  stop: AbortController
}

/** `trail`: of a mesh of its own, read when it was drained. */
export interface Ended<T> {
  result: T
  trail: AuditTrail | undefined
}

export async function onStage<T>(staging: Staging, work: (stage: Stage) => Promise<T>): Promise<Ended<T>> {
  const { data, model, hosting, unsuited, stop } = staging
  const folder = resolve(data ?? readConfig().data)
  const ground = model === undefined ? await openLiveGround(folder) : undefined
  if (!ground) return onOwnMesh(staging, work)
  try {
    const why = unsuited?.(folder)
    if (why === undefined) return { result: await onMesh(ground, folder, hosting, stop.signal, work), trail: undefined }
    if (data !== undefined) throw unfit(folder, why)
    progress(`not on the mesh of ${folder}, which runs: ${why}`)
  } finally {
    await ground.close()
  }
  return onOwnMesh(staging, work)
}

/** A folder that was named has one mesh, and that one will not do. */
const unfit = (folder: string, why: string): ClawmeshError =>
  new ClawmeshError('USAGE', `This cannot be done on the mesh of ${folder}, which runs: ${why}.`, {
    hint: 'Leave --data out, or name a folder where no mesh runs: then it is done on a mesh that ends with it.',
  })

async function onMesh<T>(
  ground: LiveGround,
  folder: string,
  hosting: string,
  signal: AbortSignal,
  work: (stage: Stage) => Promise<T>,
): Promise<T> {
  const { transport, addresses, authority } = ground
  const { node, end } = await joinAsGuest(ground, folder, ['supervisor', 'gateway'])
  try {
    const places = await workPlaces(node, hosting)
    progress(`on the mesh of ${folder}: ${places.join(', ')}`)
    const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: node.name })
    const { name = machineName() } = recallOffer(folder, {})
    const workspace = workspaceOf(folder, undefined)
    return await work({ node, tasks, subjects: authority.subjects, places, workspace, here: [name] })
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    await end()
  }
}

async function onOwnMesh<T>(
  { data, model, own, stop }: Staging,
  work: (stage: Stage) => Promise<T>,
): Promise<Ended<T>> {
  const config = readConfig()
  const folder = data === undefined ? openFreeDataFolder(config.data) : openDataFolder(resolve(data))
  const unwatch = folder.watch((error) => stop.abort(error))
  try {
    const { names, sandbox } = own(folder.path)
    const onFailure = (error: Error) => stop.abort(error)
    const site = await startOwnMesh({ config, folder, port: 0, names, sandbox, model, onFailure })
    const { node, tasks, ground } = site
    return await workAndDrain(site, stop.signal, async () => {
      passNotesOn(node, progress)
      await introduceModels(node, progress)
      const workspace = { folder: sandbox.workspace }
      return work({ node, tasks, subjects: ground.authority.subjects, places: names, workspace, here: names })
    })
  } finally {
    unwatch()
    folder.release()
  }
}
