/**
 * Kills the shipped `audit export --follow` at random moments while a mesh writes events, and starts it again on the same file. At the end each event of the
 * stream must stand in the files once, in order.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { checkExport, eventFiles } from '../../nodes/audit/event-file.js'
import { formatNamed } from '../../nodes/audit/format.js'
import { openLiveSource } from '../../nodes/audit/source.js'
import { program, runCommand } from '../kit/command.js'
import { temporaryFolder } from '../kit/mesh.js'
import { seededRandom, wholeBelow } from '../kit/random.js'
import { compare, idsIn, idsOn } from './exported.js'
import { beginSite } from './site.js'

export interface Killed {
  kills: number
  /** Kills that met a consumer that had written since it was started. */
  whileWriting: number
  /** Kills that left a line unfinished. */
  torn: number
  files: number
  events: number
  faults: string[]
}

/** A consumer is loaded in about this time, and has written what waits for it in about that. */
const loadsMs = 600
const worksMs = 150
/** Nothing to do, or not loaded yet: killed all the same. */
const longestMs = 20_000
const rotateMegabytes = '0.3'

export async function killConsumer(count: number, seed: number, report: (line: string) => void): Promise<Killed> {
  const random = seededRandom(seed)
  const data = temporaryFolder()
  const to = join(data, 'export.jsonl')
  const command = ['audit', 'export', '--data', data, '--to', to, '--rotate', rotateMegabytes]
  const { site, close } = await beginSite(data)
  let stopped = false
  const write = async () => {
    for (let n = 0; !stopped; n += 1) {
      await site.node.note('thought.asked', { n, words: 'x'.repeat(wholeBelow(random, 300)) })
      // Bursts and pauses, so that batches of many sizes stand on the stream.
      if (n % 40 === 39) await new Promise((resolve) => setTimeout(resolve, wholeBelow(random, 150)))
    }
  }
  const written = write()
  const result: Killed = { kills: 0, whileWriting: 0, torn: 0, files: 0, events: 0, faults: [] }
  try {
    while (result.kills < count) {
      const before = newestOf(to)
      // One in three at any moment from its start on, the others at any moment of its work.
      const isEarly = result.kills % 3 === 0
      const moment = wholeBelow(random, isEarly ? loadsMs : worksMs)
      await runAndKill([...command, '--follow'], moment, isEarly ? () => true : () => sizeOf(to) !== before.length)
      const after = newestOf(to)
      result.kills += 1
      if (!after.equals(before)) result.whileWriting += 1
      if (after.length > 0 && after.at(-1) !== 0x0a) result.torn += 1
      if (result.kills % 25 === 0) report(`${result.kills} kills, ${result.whileWriting} while it wrote`)
    }
    stopped = true
    await written
    await site.node.audit.flush(60_000)
    const last = await runCommand(command)
    if (last.status !== 0) result.faults.push(`the last export ended with ${last.status}: ${last.stderr}`)
    const source = await openLiveSource(data)
    if (!source) throw new Error('the mesh is gone')
    const wanted = await idsOn(source.records, source.authority)
    await source.close()
    result.events = wanted.length
    result.files = eventFiles(to).length
    result.faults.push(...compare(idsIn(to), wanted))
    const { events: proved } = checkExport(eventFiles(to), formatNamed('jsonl'), source.authority.root.publicKey)
    if (proved !== wanted.length) result.faults.push(`${proved} events verify of ${wanted.length}`)
    return result
  } finally {
    stopped = true
    await written
    await close()
    rmSync(data, { recursive: true, force: true })
  }
}

const newestOf = (path: string): Buffer => (existsSync(path) ? readFileSync(path) : Buffer.alloc(0))

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0

async function runAndKill(args: string[], afterMs: number, isAtWork: () => boolean): Promise<void> {
  const child = spawn(process.execPath, [program, ...args], { stdio: 'ignore' })
  const ended = once(child, 'exit')
  for (const until = performance.now() + longestMs; !isAtWork() && performance.now() < until; ) await pause(2)
  await pause(afterMs)
  child.kill('SIGKILL')
  await ended
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** `npm run soak -- consumer [KILLS] [SEED]` */
export async function soakConsumer(count: number, seed: number): Promise<boolean> {
  const print = (line: string) => process.stdout.write(`${line}\n`)
  const { kills, whileWriting, torn, files, events, faults } = await killConsumer(count, seed, print)
  print(
    `${kills} kills (${whileWriting} while it wrote, ${torn} left a line unfinished), ${events} events in ${files} files`,
  )
  for (const fault of faults) print(`FAULT: ${fault}`)
  return faults.length === 0
}
