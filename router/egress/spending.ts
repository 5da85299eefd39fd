/**
 * What models elsewhere have taken of the budgets of the rules: one ledger for the whole mesh, in the hands of the one node that holds the keys.
 *
 *     const spending = Spending.open(join(data, 'spending.jsonl'))
 *     const held = spending.reserve(rules, { model: 'frontier/large', trace, bytes, maxTokens })
 *     held.spent                                         // budgets of which less is left than this may take
 *     held.settle({ promptTokens: 900, outputTokens: 12 })           // or release(), where nothing was asked after all
 *
 * 1. What a question may take at most is on disk before it is asked, in one breath with the look at what is left: of many at once none takes what another has.
 * 2. What is not settled stays taken: a crash, an answer that broke off and a provider that does not count make a budget smaller, never larger.
 * 3. A ledger that cannot be read or written is no empty one: nothing is reserved from it.
 */
import { closeSync, existsSync, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { z } from 'zod'
import { writeWhole } from '../../mesh/disk.js'
import { type Counter, countersOf, mostOf, tookOf } from '../../policies/budget.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { RouterRules } from '../../policies/router.js'

export interface Question {
  /** `provider/model` */
  readonly model: string
  readonly trace: string
  /** Of the body. */
  readonly bytes: number
  /** Of the answer, at most. */
  readonly maxTokens: number
}

export interface Reservation {
  readonly spent: readonly string[]
  /** By what the provider says it used. */
  settle(usage: { readonly promptTokens: number; readonly outputTokens: number }): void
  /** Nothing was asked. */
  release(): void
}

/** What is left of one budget, for one question. */
export interface Left extends Counter {
  readonly taken: number
  /** What the question may take; undefined where the rules have no price for its model, which counts as if the budget were spent. */
  readonly most: number | undefined
}

const header = '{"spending":1}\n'
const lineSchema = z.strictObject({ at: z.int().nonnegative(), key: z.string(), taken: z.number().nonnegative() })
type Line = z.output<typeof lineSchema>

/** A counter that nothing was taken from for so long is of a period that is over, or of a task that is. */
const keptMs = 62 * 24 * 3_600_000
const leastToShorten = 8 * 1024 * 1024

export class Spending {
  readonly #path: string
  readonly #now: () => number
  readonly #counters: Map<string, Line>
  #length: number
  #shortenAt = leastToShorten

  private constructor(path: string, now: () => number, { counters, length }: Written) {
    this.#path = path
    this.#now = now
    this.#counters = counters
    this.#length = length
  }

  /** The ledger, begun where there is none. Throws DENIED for one that cannot be read or written. */
  static open(path: string, now: () => number = Date.now): Spending {
    return guarded('read', () => {
      if (!existsSync(path)) writeWhole(path, header)
      const spending = new Spending(path, now, read(path))
      // Not at each start: the clock may be wrong then, and what it takes for long ago is of today.
      if (spending.#length > leastToShorten) spending.#shorten()
      return spending
    })
  }

  /** To look at alone: nothing is written, whoever has it open. Throws DENIED for one that cannot be read. */
  static look(path: string, now: () => number = Date.now): Spending {
    const none = { counters: new Map<string, Line>(), length: 0 }
    return guarded('read', () => new Spending(path, now, existsSync(path) ? read(path) : none))
  }

  leftFor({ budgets, order }: RouterRules, question: Question): Left[] {
    const most = mostOf(order.prices, question)
    return countersOf(budgets, { ...question, at: this.#now() }).map((counter) => ({
      ...counter,
      most,
      taken: this.#counters.get(counter.key)?.taken ?? 0,
    }))
  }

  spentFor(rules: RouterRules, question: Question): string[] {
    return this.leftFor(rules, question)
      .filter(isSpent)
      .map(({ budget }) => budget)
  }

  /** Throws DENIED, and takes nothing, where the ledger cannot be written. */
  reserve(rules: RouterRules, question: Question): Reservation {
    const left = this.leftFor(rules, question)
    const spent = left.filter(isSpent).map(({ budget }) => budget)
    const most = mostOf(rules.order.prices, question) ?? 0
    this.#take(left, most)
    let isOpen = true
    const correct = (took: number): void => {
      if (!isOpen) return
      isOpen = false
      try {
        this.#take(left, took - most)
      } catch {
        // It stays taken (invariant 2), and the next question finds that the ledger cannot be written.
      }
    }
    return {
      spent,
      settle: (usage) => correct(tookOf(rules.order.prices, { ...question, ...usage }) ?? 0),
      release: () => correct(0),
    }
  }

  #take(from: readonly Counter[], amount: number): void {
    if (from.length === 0 || amount === 0) return
    const at = this.#now()
    const lines = from.map(({ key }) => ({
      at,
      key,
      taken: Math.max(0, (this.#counters.get(key)?.taken ?? 0) + amount),
    }))
    guarded('written', () => this.#append(lines))
    for (const line of lines) this.#counters.set(line.key, line)
    if (this.#length > this.#shortenAt) guarded('written', () => this.#shorten())
  }

  #append(lines: readonly Line[]): void {
    const bytes = Buffer.from(lines.map(written).join(''))
    const file = openSync(this.#path, 'r+')
    try {
      if (fstatSync(file).size < this.#length) throw new Error('it is shorter than it was')
      // What a write that failed has left behind the last whole line is no part of it.
      ftruncateSync(file, this.#length)
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, this.#length + at)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    this.#length += bytes.length
  }

  #shorten(): void {
    const since = this.#now() - keptMs
    for (const [key, { at }] of this.#counters) if (at < since) this.#counters.delete(key)
    const text = header + [...this.#counters.values()].map(written).join('')
    writeWhole(this.#path, text)
    this.#length = Buffer.byteLength(text)
    this.#shortenAt = Math.max(leastToShorten, 2 * this.#length)
  }
}

export const isSpent = ({ taken, most, limit }: Left): boolean => most === undefined || taken + most > limit

interface Written {
  counters: Map<string, Line>
  /** Bytes, up to the end of the last whole line. */
  length: number
}

/** Of several lines of one counter the last one holds. What stands behind the last line's end was never acknowledged. */
function read(path: string): Written {
  const bytes = readFileSync(path)
  const length = bytes.lastIndexOf(0x0a) + 1
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length))
  if (!text.startsWith(header)) throw new Error('it does not begin as one does')
  const counters = new Map<string, Line>()
  for (const line of text.slice(header.length).split('\n').slice(0, -1)) {
    const parsed = lineSchema.parse(JSON.parse(line))
    counters.set(parsed.key, parsed)
  }
  return { counters, length }
}

const written = (line: Line): string => `${JSON.stringify(line)}\n`

function guarded<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw new ClawmeshError('DENIED', `No prompt leaves the mesh: what was spent could not be ${what}.`, {
      hint: 'See spending.jsonl in the data folder: mend it, or take it away, and then all budgets are whole again.',
      cause,
    })
  }
}
