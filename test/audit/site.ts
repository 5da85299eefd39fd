/** A mesh of one node on a data folder, as `clawmesh start` makes it: begun, used, drained. */
import type { MeshNode } from '../../mesh/node.js'
import { readConfig } from '../../nodes/config.js'
import { openDataFolder } from '../../nodes/data-folder.js'
import { type Site, type SiteOptions, startSite } from '../../nodes/site.js'
import type { AuditTrail } from '../../nodes/trail.js'

export interface RunningSite {
  site: Site
  close(): Promise<AuditTrail>
}

export async function beginSite(data: string, more: Partial<SiteOptions> = {}): Promise<RunningSite> {
  const folder = openDataFolder(data)
  try {
    const site = await startSite({
      config: readConfig(),
      folder,
      port: 0,
      nodes: [],
      progress: () => undefined,
      onFailure: (error) => {
        throw error
      },
      ...more,
    })
    return { site, close: () => site.close().finally(() => folder.release()) }
  } catch (error) {
    folder.release()
    throw error
  }
}

export async function runSite(
  data: string,
  use: (node: MeshNode) => Promise<void> = async () => undefined,
): Promise<AuditTrail> {
  const { site, close } = await beginSite(data)
  await use(site.node)
  return close()
}
