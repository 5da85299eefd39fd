/**
 * The right answer for a folder of expense files, found with regular expressions over lines and on purpose in another way than
 * the product finds it: no CSV or JSON parser, no exact fractions. It relies on how the generator lays its files out.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'

export interface FaultyEntry {
  /** Relative to the folder, with '/' between names. */
  file: string
  /** The line in CSV and text, the place in the array in JSON; both from 1. */
  line: number
  /** Empty if the entry has none. */
  receipt: string
  reason: string
}

export interface LedgerTruth {
  totalCents: number
  entries: number
  faulty: FaultyEntry[]
}

interface Entry {
  line: number
  date: string
  receipt: string
  amount: string
  currency: string
}

/** Files in alphabetical order, entries in the order of their file. */
export function ledgerTruth(dir: string): LedgerTruth {
  const truth: LedgerTruth = { totalCents: 0, entries: 0, faulty: [] }
  const paths = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((path) => /\.(csv|json|txt)$/.test(path))
  for (const path of paths.sort()) {
    const file = path.split(sep).join('/')
    const entries = entriesOf(file, readFileSync(join(dir, path), 'utf8'))
    truth.entries += entries.length
    entries.forEach((entry, index) => {
      const reason = reasonOf(entry, entries.slice(0, index))
      if (reason) truth.faulty.push({ file, line: entry.line, receipt: entry.receipt, reason })
      else truth.totalCents += cents(entry.amount)
    })
  }
  return truth
}

function reasonOf({ date, receipt, amount, currency }: Entry, earlier: Entry[]): string | undefined {
  const day = new Date(`${date}T12:00:00Z`)
  if (Number.isNaN(day.getTime()) || day.toISOString().slice(0, 10) !== date) return 'date'
  if (!receipt) return 'receipt'
  if (earlier.some((other) => other.receipt === receipt)) return 'duplicate'
  if (!(cents(amount) > 0)) return 'amount'
  if (currency !== 'EUR') return 'currency'
  return cents(amount) > 500_000 ? 'limit' : undefined
}

/** NaN for what is no amount. */
function cents(amount: string): number {
  const [, sign, euros, rest = ''] = /^(-?)(\d+)(?:\.(\d\d?))?$/.exec(amount) ?? []
  return euros === undefined ? Number.NaN : Number(`${sign}${euros}${rest.padEnd(2, '0')}`)
}

function entriesOf(file: string, text: string): Entry[] {
  if (file.endsWith('.csv')) return csvEntries(text)
  return file.endsWith('.json') ? jsonEntries(text) : noteEntries(text)
}

/** Only the note, the last column, is ever quoted. */
function csvEntries(text: string): Entry[] {
  const row = /^([^,]*),([^,]*),[^,]*,[^,]*,([^,]*),([^,]*),/
  return text.split('\n').flatMap((content, index) => {
    const [, date, receipt = '', amount = '', currency = ''] = row.exec(content) ?? []
    return date === undefined || date === 'date' ? [] : [{ line: index + 1, date, receipt, amount, currency }]
  })
}

/** One key a line; no value holds a brace. */
function jsonEntries(text: string): Entry[] {
  const objects = text.match(/\{[^}]*\}/g) ?? []
  return objects.map((object, index) => {
    const value = (key: string) => new RegExp(`"${key}": "?([^"\n]*?)"?,?\n`).exec(object)?.[1] ?? ''
    return {
      line: index + 1,
      date: value('date'),
      receipt: value('receipt'),
      amount: value('amount'),
      currency: value('currency'),
    }
  })
}

function noteEntries(text: string): Entry[] {
  const entry = /^(\d{4}-\d\d-\d\d) (R-\d+ )?[\p{L} ]+: .*, (\S*) ?([A-Z]{3})$/u
  return text.split('\n').flatMap((content, index) => {
    const [, date, receipt = '', amount = '', currency = ''] = entry.exec(content) ?? []
    return date === undefined ? [] : [{ line: index + 1, date, receipt: receipt.trim(), amount, currency }]
  })
}
