/** Two main jobs at once from one clone, nothing said of data folders or ports: they do not meet. */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../kit/mesh.js'
import { Command } from './command.js'

/** What is wrong; empty if nothing is. Both start at the same instant, on a home without any mesh, or where `home` says on one that was used. */
export async function startTwice(home: string): Promise<string[]> {
  const env = { XDG_DATA_HOME: home, CLAWMESH_DATA: '' }
  const both = await Promise.all([new Command({ env }).ended(), new Command({ env }).ended()])
  const faults = both.flatMap(({ status, summary, orphans, stderr }) => {
    const isWell = status === 0 && summary?.ok === true && summary.auditVerified && orphans.length === 0
    return isWell ? [] : [`one ended with ${status}: ${stderr}`]
  })
  const [one, other] = both
  if (one?.summary?.answer !== other?.summary?.answer) faults.push('they answered differently')
  const folders = readdirSync(join(home, 'clawmesh')).sort()
  if (folders.join() !== 'mesh,mesh-2') faults.push(`they used the folders ${folders.join(', ')}`)
  return faults
}

export async function soakTwice(count: number): Promise<boolean> {
  const home = temporaryFolder()
  let clean = true
  for (let index = 0; index < count; index += 1) {
    const faults = await startTwice(home)
    clean &&= faults.length === 0
    process.stdout.write(`${index + 1}: ${faults.join('; ') || 'clean'}\n`)
  }
  rmSync(home, { recursive: true, force: true })
  return clean
}
