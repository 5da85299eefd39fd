/** What commands do with what the broker of a mesh keeps, whether or not the mesh runs. */
import { existsSync } from 'node:fs'
import { type LiveGround, openLiveGround } from '../authority/live.js'
import { readConfig } from '../config.js'
import { dataPaths, noMesh, openDataFolder } from '../data-folder.js'
import { openGround } from '../ground.js'
import type { Values } from './command.js'
import { dataFolder } from './options.js'
import { progress } from './terminal.js'

type Kept = Pick<LiveGround, 'transport' | 'addresses' | 'authority'>

/** On the broker of the mesh that runs there, or else on one that is started for it. Throws USAGE where there is no mesh. Resolves to the exit status. */
export async function onGround(values: Values, use: (ground: Kept) => Promise<void>): Promise<number> {
  const path = dataFolder(values)
  if (!existsSync(dataPaths(path).authority)) throw noMesh(path)
  const live = await openLiveGround(path)
  const folder = live ? undefined : openDataFolder(path)
  try {
    const ground = live ?? (folder && (await openGround({ config: readConfig(), folder, port: 0, progress })))
    if (!ground) return 0
    try {
      if (!live) await ground.transport.provideBuckets(ground.addresses)
      await use(ground)
      return 0
    } finally {
      await ground.close()
    }
  } finally {
    folder?.release()
  }
}
