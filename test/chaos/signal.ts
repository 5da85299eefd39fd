/** Ctrl-C and its kin at any moment: the command drains and ends in time, leaves no process and gives its data folder back. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'
import { seededRandom } from '../kit/random.js'
import { Command, isReleased } from './command.js'

const endsWithinMs = 15_000

/** The moment is in milliseconds after the start, or when its progress says so. Resolves to what is wrong with how it ended. */
export async function interrupt(data: string, signal: NodeJS.Signals, moment: number | RegExp): Promise<string[]> {
  const command = new Command({ data })
  if (moment instanceof RegExp) await eventually(() => assert.match(command.stderr, moment), 30_000)
  else await new Promise((resolve) => setTimeout(resolve, moment))
  const wasRunning = command.running
  const at = command.age
  command.signal(signal)
  const { status, signal: endedBy, wallMs, hung, orphans, stderr, summary } = await command.ended()
  const faults: string[] = []
  if (hung || wallMs - at > endsWithinMs) faults.push(`it took ${Math.round(wallMs - at)} ms to end`)
  if (orphans.length > 0) faults.push(`processes ${orphans.map(({ pid }) => pid).join(', ')} outlived it`)
  if (!isReleased(data)) faults.push('the data folder is still locked')
  if (summary && !summary.auditVerified) faults.push('the audit trail does not verify')
  // Before it listens for signals there is nothing to drain, and the signal itself may end it.
  const ended =
    endedBy === signal || (status !== null && status !== 0) || (status === 0 && (!wasRunning || summary?.ok === true))
  if (!ended) faults.push(`it ended with ${endedBy ?? status}: ${stderr}`)
  if (/\n\s+at /.test(stderr)) faults.push(`a stack trace: ${stderr}`)
  return faults
}

export async function soakSignal(count: number, seed: number): Promise<boolean> {
  const random = seededRandom(seed)
  const data = temporaryFolder()
  let clean = true
  for (let index = 0; index < count; index += 1) {
    const signal = random() < 0.5 ? 'SIGINT' : 'SIGTERM'
    const moment = Math.round(random() * 6000)
    const faults = await interrupt(data, signal, moment)
    clean &&= faults.length === 0
    process.stdout.write(`${signal.padEnd(7)} at ${String(moment).padStart(5)} ms  ${faults.join('; ') || 'clean'}\n`)
  }
  rmSync(data, { recursive: true, force: true })
  return clean
}
