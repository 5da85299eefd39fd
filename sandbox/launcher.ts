/** The compiled launcher: where it is, and why there is none. */
import { access, constants, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { installation } from '../mesh/installation.js'

const build = join(installation, 'sandbox', 'launcher', 'build')
export const launcherPath = join(build, 'clawmesh-sandbox')
export const probePath = join(build, 'probe')

export interface Problem {
  readonly reason: string
  readonly hint: string
}

let ready = false

/** undefined where the launcher is there and up to date; build.mjs has written down why if it is not. */
export async function launcherProblem(): Promise<Problem | undefined> {
  if (ready) return undefined
  const text = await readFile(join(build, 'unavailable.json'), 'utf8').catch(() => undefined)
  if (text !== undefined) {
    const { reason, hint } = JSON.parse(text)
    return { reason: String(reason), hint: String(hint) }
  }
  const there = await access(launcherPath, constants.X_OK).then(
    () => true,
    () => false,
  )
  ready = there
  if (there) return undefined
  return { reason: 'the launcher has not been built', hint: 'Run `node sandbox/launcher/build.mjs`.' }
}
