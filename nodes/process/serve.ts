/** Gives a node of this process what boot gives a node process: models, or a sandbox. */
import type { Backend } from '../../inference/backend.js'
import { readFreeMemory } from '../../inference/hardware.js'
import { inferenceName, inferenceService } from '../../inference/service.js'
import { Shelf, type ShelfOptions } from '../../inference/shelf.js'
import type { MeshNode } from '../../mesh/index.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { Profile } from '../../policies/profile.js'
import { sandboxAvailability } from '../../sandbox/availability.js'
import { sandboxName, sandboxService } from '../../sandbox/service.js'
import { type Workspace, workspaceId } from '../../sandbox/workspace.js'
import { serveDrain } from './drain.js'

/** The backend stays the caller's: dispose of it after the node has left. */
export async function serveModel(node: MeshNode, backend: Backend): Promise<void> {
  const shelf = openShelf()
  shelf.keep(backend)
  await serveModels(node, shelf)
  await serveDrain(node, { shelf })
}

/** Throws SANDBOX_UNAVAILABLE, with the reason, where this machine cannot hold actions. */
export async function serveSandbox(node: MeshNode, options: { workspace: string; profile: Profile }): Promise<void> {
  const availability = await sandboxAvailability()
  if (!availability.available)
    throw new ClawmeshError('SANDBOX_UNAVAILABLE', availability.reason, { hint: availability.hint })
  await node.spawn(sandboxService(node, options), { as: sandboxName(node.name) })
  await node.directory.describe({ sandbox: true, workspace: workspaceId({ folder: options.workspace }) })
}

export const openShelf = (options: Partial<ShelfOptions> = {}): Shelf =>
  new Shelf({ freeBytes: () => readFreeMemory(), ...options })

/** What a node says of its models: all of them compute on its machine, as servers elsewhere are refused when a backend is opened. */
export const advertOf = (shelf: Shelf) => ({
  model: shelf.names[0] ?? null,
  offers: shelf.offers(),
  memoryFree: shelf.freeBytes,
  embeds: shelf.embeds,
  zone: shelf.names.length > 0 ? 'mesh' : null,
})

/** Starts the actor of a shelf, and tells the mesh of it: at once, and with each beat what it offers then. */
export async function serveModels(node: MeshNode, shelf: Shelf): Promise<void> {
  for (const name of shelf.names) await node.note('model.loaded', { ...shelf.describe(name) })
  await node.spawn(inferenceService(shelf), { as: inferenceName(node.name) })
  await shelf.look()
  node.directory.mention(() => advertOf(shelf))
  await node.directory.describe({})
}

const lookEveryMs = 5000

/** Has a shelf see what memory others of this machine take and give back, and which model servers are there. */
export function keepLooking(shelf: Shelf): void {
  const look = () => Promise.all([shelf.look(), shelf.check()])
  setInterval(() => void look().catch(() => undefined), lookEveryMs).unref()
}

const lookAtFolderEveryMs = 1000

/** Has a node say which files it acts on, and say it anew where another folder has taken the place of that one. */
export async function keepWorkspace(node: MeshNode, workspace: Workspace): Promise<void> {
  const id = () => {
    try {
      return workspaceId(workspace)
    } catch {
      // It is not there now.
      return null
    }
  }
  let said = id()
  await node.directory.describe({ workspace: said })
  const look = () => {
    if (id() === said) return
    said = id()
    node.directory.mention({ workspace: said })
  }
  setInterval(look, lookAtFolderEveryMs).unref()
}
