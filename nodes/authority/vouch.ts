/**
 * A process for one checkpoint: verifies the trail of the mesh that runs in a data folder and has the authority vouch for it. It never starts a broker, and ends when
 * whoever started it does.
 */
import { setPriority } from 'node:os'
import { ClawmeshError } from '../../policies/errors.js'
import { openLiveSource } from '../audit/source.js'
import { sealTrail } from '../trail.js'
import type { Vouched } from './vouching.js'

const low = 10

process.once('disconnect', () => process.exit(1))
setPriority(low)
const vouched = await vouch(process.argv[2] ?? '').catch((error: unknown) => ({
  fault: ClawmeshError.from(error).message,
}))
process.send?.(vouched, () => process.exit(0))

async function vouch(data: string): Promise<Vouched> {
  const source = await openLiveSource(data)
  if (!source) return { fault: 'no broker runs there' }
  try {
    const { ok, faults } = (await sealTrail(source, Date.now())).verdict
    return ok ? {} : { fault: `the trail is broken: ${faults[0]?.place}: ${faults[0]?.what}` }
  } finally {
    await source.close()
  }
}
