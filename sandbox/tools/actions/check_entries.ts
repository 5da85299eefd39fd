import { extname } from 'node:path'
import { ActionError } from './error.js'
import { type Fraction, parseDecimal } from './fraction.js'
import { linesOf } from './lines.js'
import { parseCsvTable, parseJsonTable, type Row } from './table.js'
import { readText } from './text.js'

/** In the order in which they are tested; the first that applies is the reason. */
type Reason = 'date' | 'receipt' | 'duplicate' | 'amount' | 'currency' | 'limit'

/** Above this a person has to approve the expense. */
const limitCents = 5000_00n

/** Checks a file of expense entries: CSV, a JSON array, or prose in which some lines are entries. Cents are exact. */
export function checkEntries({ path }: { path: string }) {
  const entries = entriesOf(readText(path), path)
  const seen = new Set<string>()
  const faulty: { line: number; receipt: string; reason: Reason }[] = []
  let totalCents = 0n
  for (const { line, fields } of entries) {
    const receipt = (fields.receipt ?? '').trim()
    const cents = centsOf(parseDecimal(fields.amount ?? ''))
    const reason = faultOf(fields, receipt, seen.has(receipt), cents)
    seen.add(receipt)
    if (reason) faulty.push({ line, receipt, reason })
    else totalCents += cents ?? 0n
  }
  const valid = entries.length - faulty.length
  const total = Number(totalCents)
  if (!Number.isSafeInteger(total)) throw new ActionError('The total is too large.')
  return {
    entries: entries.length,
    valid,
    totalCents: total,
    faulty,
    summary: `${entries.length} entries, ${valid} valid, ${(total / 100).toFixed(2)} EUR in total, ${faulty.length} faulty`,
  }
}

function faultOf(
  fields: Row['fields'],
  receipt: string,
  repeated: boolean,
  cents: bigint | undefined,
): Reason | undefined {
  if (!isCalendarDay((fields.date ?? '').trim())) return 'date'
  if (receipt === '') return 'receipt'
  if (repeated) return 'duplicate'
  if (cents === undefined || cents <= 0n) return 'amount'
  if ((fields.currency ?? '').trim() !== 'EUR') return 'currency'
  return cents > limitCents ? 'limit' : undefined
}

function entriesOf(text: string, path: string): readonly Row[] {
  const kind = extname(path).toLowerCase()
  if (kind === '.json' || (kind !== '.csv' && /^\s*\[/.test(text))) return parseJsonTable(text, path).rows
  if (kind === '.csv') {
    const { columns, rows } = parseCsvTable(text, path)
    const absent = ['date', 'receipt', 'amount', 'currency'].find((column) => !columns.includes(column))
    if (absent) throw new ActionError(`${path} has no column '${absent}'.`)
    return rows
  }
  return linesOf(text).flatMap((line, index) => {
    const fields = noteFields(line)
    return fields ? [{ line: index + 1, fields }] : []
  })
}

/** `DATE RECEIPT EMPLOYEE: NOTE, AMOUNT CURRENCY`; a field that is not there is left out, a line of another form is prose. */
function noteFields(line: string): Record<string, string> | undefined {
  const entry = /^(\d{4}-\d{2}-\d{2})\s+([^:]*):(.*)$/.exec(line)
  if (!entry) return undefined
  const [, date = '', who = '', what = ''] = entry
  const receipt = /^([A-Za-z]+-\d+)(?:\s|$)/.exec(who)?.[1] ?? ''
  const [amount = '', currency = ''] = /,\s+(\S+)\s+([A-Za-z]{3})\s*\.?\s*$/.exec(what)?.slice(1) ?? []
  return { date, receipt, amount, currency }
}

function isCalendarDay(text: string): boolean {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text)
  if (!match) return false
  const [year = 0, month = 0, day = 0] = match.slice(1).map(Number)
  const lengths = [
    31,
    year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28,
    31,
    30,
    31,
    30,
    31,
    31,
    30,
    31,
    30,
    31,
  ]
  return day >= 1 && day <= (lengths[month - 1] ?? 0)
}

/** undefined for no number, and for one that is finer than a cent: nobody can pay it. */
function centsOf(amount: Fraction | undefined): bigint | undefined {
  return amount && 100n % amount.under === 0n ? amount.over * (100n / amount.under) : undefined
}
