/** The main job on three brokers, of which one is killed with -9 while it works. */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { installation } from '../../../mesh/installation.js'
import type { Summary } from '../../../nodes/cli/job/report.js'
import { ledgerTruth } from '../../examples/ledger-truth.js'
import { eventually } from '../../kit/eventually.js'
import { temporaryFolder } from '../../kit/mesh.js'
import { run } from '../../nodes/command.js'

/** What is wrong with the outcome, in words; undefined if nothing is. `number` is the broker's, from 1. */
export async function jobWithout(number: number): Promise<string | undefined> {
  const folder = temporaryFolder()
  const data = join(folder, 'data')
  try {
    const job = run(['start', '--once', '--json', '--brokers', '3', '--data', data])
    const isOver = job.ended.then(() => true)
    await Promise.race([isOver, eventually(() => worksOn(job.stderr()), 60_000)])
    const pid = brokerIn(join(data, 'broker', `${number}`))
    if (pid === undefined) return `broker ${number} does not run: ${job.stderr()}`
    process.kill(pid, 'SIGKILL')
    const { status, stdout, stderr } = await job.ended
    const summary = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Summary
    const truth = ledgerTruth(join(installation, 'examples', 'ledger', 'workspace'))
    const { ok, auditVerified, ledger } = summary
    const isRight = status === 0 && ok && auditVerified && ledger?.totalCents === truth.totalCents
    if (!/a broker is started again/.test(stderr)) return `the job had ended before the broker was killed: ${stderr}`
    return isRight ? undefined : `status ${status}: ${stderr}\n${stdout}`
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function worksOn(stderr: string): void {
  if (!/parts for \d workers/.test(stderr)) throw new Error(stderr)
}

/** Its process, found by the file that it was told to read. */
function brokerIn(folder: string): number | undefined {
  const config = join(folder, 'nats-server.conf')
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')
        return line.includes(config) && !line.includes('clawmesh-guard')
      } catch {
        return false
      }
    })
}
