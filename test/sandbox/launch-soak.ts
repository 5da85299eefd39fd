/** Launches one after another, and a few at a time, by a pool and without: each has to end as it should, and to leave nothing behind. */
import { readdir } from 'node:fs/promises'
import { ClawmeshError } from '../../policies/errors.js'
import { Pool } from '../../sandbox/pool.js'
import { descendantsOf } from './descendant.js'
import { newStage, programs, shell } from './stage.js'

const lanes = 2
const idleWorkers = 4
const shownFailures = 20

/** So many of each. */
export async function soakLaunch(count: number): Promise<boolean> {
  const pool = new Pool({ idle: idleWorkers })
  const clean = (await soakBy(pool, count)) && (await soakBy(undefined, count))
  pool.close()
  return clean
}

async function soakBy(pool: Pool | undefined, count: number): Promise<boolean> {
  const { workspace } = await newStage()
  const descriptors = async () => (await readdir('/proc/self/fd')).length
  // The first launch opens what later ones use again.
  await shell(programs, workspace, ':', { pool })
  const daemon = await pool?.pid()
  const before = await descriptors()
  const failures: string[] = []
  const begun = performance.now()
  let next = 0
  const lane = async () => {
    while (next < count) {
      const index = next++
      const status = index % 3
      const fault = await oneLaunch(pool, workspace, index, status)
      if (fault) failures.push(`launch ${index}: ${fault}`)
      if (index > 0 && index % 1000 === 0) process.stdout.write(`${index} launches, ${failures.length} failures\n`)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  const seconds = (performance.now() - begun) / 1000
  const left = (await descriptors()) - before
  if (left > lanes) failures.push(`${left} descriptors are left open`)
  if ((await pool?.pid()) !== daemon) failures.push('the daemon did not live through it')
  // Two processes of each worker that waits, and of one more that may just be ending; and what removes control groups.
  const processes = daemon === undefined ? 0 : (await descendantsOf(daemon)).length
  if (processes > 2 * (idleWorkers + lanes) + 1) failures.push(`${processes} processes are left under the daemon`)
  for (const failure of failures.slice(0, shownFailures)) process.stdout.write(`${failure}\n`)
  process.stdout.write(
    `${count} launches ${pool ? 'by a pool' : 'one-shot'} in ${seconds.toFixed(0)} s (${(count / seconds).toFixed(0)} a second): ${failures.length} failures\n`,
  )
  return failures.length === 0
}

/** What was wrong; undefined if nothing was. */
async function oneLaunch(
  pool: Pool | undefined,
  workspace: string,
  index: number,
  status: number,
): Promise<string | undefined> {
  try {
    const { out, exitCode, signal } = await shell(programs, workspace, `cat; exit ${status}`, {
      pool,
      stdin: `${index}`,
    })
    return out === `${index}` && exitCode === status ? undefined : `ended with ${exitCode ?? signal}, said "${out}"`
  } catch (error) {
    const { code, message } = ClawmeshError.from(error)
    return `${code}: ${message}`
  }
}
