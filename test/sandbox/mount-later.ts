/** A program of its own, in a mount namespace of its own: mounts a folder when the pool's workers are prepared, and reads from it. */
import { spawnSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Pool } from '../../sandbox/pool.js'
import { descendantsOf } from './descendant.js'
import { newStage, programs, shell } from './stage.js'

const { workspace } = await newStage()
const mounted = join(workspace, 'mounted')
await mkdir(mounted)
const pool = new Pool({ idle: 1 })
await shell(programs, workspace, ':', { pool })
// The daemon's worker and process 1.
while ((await descendantsOf((await pool.pid()) ?? 0)).length < 2) await new Promise((soon) => setTimeout(soon, 5))

const script = 'mount -t tmpfs none "$1" && echo mounted later > "$1/file"'
spawnSync('sh', ['-c', script, 'sh', mounted], { stdio: 'inherit' })
const { out, err } = await shell(programs, workspace, 'cat mounted/file', { pool })
process.stdout.write(out)
process.stderr.write(err)
spawnSync('umount', [mounted])
