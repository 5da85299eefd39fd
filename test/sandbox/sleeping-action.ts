/** A program of its own, to be killed: runs an action that would sleep for a minute, and says so once it does. */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { programs, shell } from './stage.js'

const [workspace = '', mark = ''] = process.argv.slice(2)
// The mark stands in the command line of the action and of one that the action leaves to itself.
const running = shell(
  programs,
  workspace,
  `setsid sh -c ': ${mark}; sleep 60; :' & : ${mark}; echo up > up; sleep 60; wait`,
)
for (;;) {
  const up = await open(join(workspace, 'up')).catch(() => undefined)
  if (up) {
    await up.close()
    break
  }
  await new Promise((soon) => setTimeout(soon, 10))
}
process.stdout.write('running\n')
await running
