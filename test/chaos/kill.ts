/**
 * Kills one process of the main job at one moment, and judges how the job ended: with the answer of an undisturbed run, or with one clear error; in time,
 * with a whole audit trail, and with no process left. The data folder goes from run to run, so every run also shows that the one before left it usable.
 */
import { rmSync } from 'node:fs'
import { temporaryFolder } from '../kit/mesh.js'
import { seededRandom, wholeBelow } from '../kit/random.js'
import { Command, type Ended, end } from './command.js'
import { type Kind, kinds } from './tree.js'

export interface Kill {
  kind: Kind
  /** Milliseconds after the start; the first process of the kind from then on is killed. */
  moment: number
  /** Which one of the kind, as a fraction. */
  which: number
}

export type Outcome = 'right answer' | 'clear error' | 'ended with it' | 'was never there'

export interface Judged {
  kill: Kill
  outcome: Outcome
  wallMs: number
  /** What is wrong; empty if nothing is. */
  faults: string[]
  ended: Ended
}

export interface Reference {
  answer: string
  wallMs: number
}

export class KillMatrix {
  readonly data = temporaryFolder()
  readonly #args: string[]
  #reference: Reference = { answer: '', wallMs: 0 }

  /** Of the command, beside those of the main job. */
  constructor(args: string[] = []) {
    this.#args = args
  }

  /** What the job answers when nobody disturbs it. */
  async begin(): Promise<Reference> {
    const { summary, wallMs, stderr } = await new Command({ data: this.data, more: this.#args }).ended()
    if (!summary?.ok || !summary.auditVerified) throw new Error(`the undisturbed run failed: ${stderr}`)
    this.#reference = { answer: answerOf(summary), wallMs }
    return this.#reference
  }

  async kill(kill: Kill): Promise<Judged> {
    const command = new Command({ data: this.data, more: this.#args })
    const wasThere = await killWhen(command, kill)
    const ended = await command.ended()
    const [outcome, faults] = this.#judge(kill, ended, wasThere)
    return { kill, outcome, wallMs: ended.wallMs, faults, ended }
  }

  /** An undisturbed run on the same folder after all of it. */
  async after(): Promise<string[]> {
    const ended = await new Command({ data: this.data, more: this.#args }).ended()
    const isRight =
      ended.status === 0 && ended.summary !== undefined && answerOf(ended.summary) === this.#reference.answer
    return isRight ? [] : [`the undisturbed run after it ended with ${ended.status}: ${ended.stderr}`]
  }

  close(): void {
    rmSync(this.data, { recursive: true, force: true })
  }

  #judge({ kind }: Kill, ended: Ended, wasThere: boolean): [Outcome, string[]] {
    const { status, signal, summary, stderr, hung, orphans } = ended
    const faults: string[] = []
    if (hung) faults.push('it hung')
    if (orphans.length > 0) faults.push(`processes ${orphans.map(({ pid }) => pid).join(', ')} outlived it`)
    if (summary && !summary.auditVerified) faults.push('the audit trail does not verify')
    if (!wasThere) return ['was never there', faults]
    if (kind === 'command') {
      if (signal !== 'SIGKILL') faults.push(`it ended with ${signal ?? status}`)
      return ['ended with it', faults]
    }
    if (status === 0) {
      if (summary?.ok !== true) faults.push('status 0 without ok')
      else if (answerOf(summary) !== this.#reference.answer) faults.push(`another answer: ${summary.answer}`)
      return ['right answer', faults]
    }
    if (summary?.ok) faults.push(`ok with status ${status ?? signal}`)
    if (!saysWhy(ended)) faults.push(`status ${status ?? signal} without one clear error`)
    if (/\n\s+at |INTERNAL|TypeError|undefined/.test(stderr)) faults.push('the error is not for people')
    return ['clear error', faults]
  }
}

/** Everything of the answer that must be the same in each run. */
const answerOf = (summary: NonNullable<Ended['summary']>) => JSON.stringify([summary.answer, summary['ledger']])

function saysWhy({ stderr, summary }: Ended): boolean {
  const errors = stderr.split('\n').filter((line) => line.startsWith('clawmesh: '))
  return errors.length === 1 || (errors.length === 0 && /failed|did not agree/.test(summary?.answer ?? ''))
}

/** False if the command ended before a process of the kind was there to be killed. */
async function killWhen(command: Command, { kind, moment, which }: Kill): Promise<boolean> {
  while (command.running) {
    if (command.age >= moment) {
      const victims = command.tree.ofKind(kind)
      const victim = victims[Math.floor(which * victims.length)]
      if (victim) {
        end(victim)
        return true
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 4))
  }
  return false
}

/** A seeded plan that meets every kind in turn, at any moment of the job. */
export function planKills(seed: number, count: number, wallMs: number): Kill[] {
  const random = seededRandom(seed)
  const offset = wholeBelow(random, kinds.length)
  return Array.from({ length: count }, (_, index) => ({
    kind: kinds[(index + offset) % kinds.length] ?? 'command',
    moment: Math.round(random() * wallMs * 0.8),
    which: random(),
  }))
}

export function describeJudged({ kill, outcome, wallMs, faults, ended }: Judged): string {
  const line = `${kill.kind.padEnd(12)} at ${String(kill.moment).padStart(6)} ms  ${outcome.padEnd(16)} ${(wallMs / 1000).toFixed(1).padStart(5)} s`
  const why = outcome === 'clear error' ? `  ${ended.stderr.match(/^clawmesh: .*/m)?.[0] ?? ended.summary?.answer}` : ''
  return faults.length === 0
    ? line + why
    : `${line}  FAULT: ${faults.join('; ')}\n${ended.stderr}${ended.summary?.answer ?? ''}`
}

/** One row a kind: how often each outcome came. */
export function tableOf(judged: Judged[]): string {
  const outcomes: Outcome[] = ['right answer', 'clear error', 'ended with it', 'was never there']
  const head = `${'killed'.padEnd(12)} ${'times'.padStart(5)} ${outcomes.map((outcome) => outcome.padStart(16)).join('')} ${'slowest'.padStart(9)} ${'faults'.padStart(7)}`
  const rows = kinds.map((kind) => {
    const of = judged.filter(({ kill }) => kill.kind === kind)
    const counts = outcomes.map((outcome) => String(of.filter((one) => one.outcome === outcome).length).padStart(16))
    const slowest = Math.max(0, ...of.map(({ wallMs }) => wallMs)) / 1000
    const faults = of.filter((one) => one.faults.length > 0).length
    return `${kind.padEnd(12)} ${String(of.length).padStart(5)} ${counts.join('')} ${`${slowest.toFixed(1)} s`.padStart(9)} ${String(faults).padStart(7)}`
  })
  return [head, ...rows].join('\n')
}
