/**
 * Writes the ledger: nine files of a quarter under workspace/q3/ and a payroll outside of it. The same files each time.
 *
 *     node examples/ledger/generate.mjs [FOLDER]
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { faults } from './faults.mjs'
import { people, purchases, remarks } from './people.mjs'

const months = ['07', '08', '09']
const daysIn = { '07': 31, '08': 31, '09': 30 }
const formats = {
  travel: { ending: 'csv', entries: 46, write: writeCsv },
  office: { ending: 'json', entries: 36, write: writeJson },
  notes: { ending: 'txt', entries: 20, write: writeNotes },
}

/** Every file of the ledger: its path below examples/ledger, and its text. */
export function ledgerFiles() {
  const draw = drawer(0x1ed6e4)
  const receipts = { next: 1042 }
  const files = months.flatMap((month) =>
    Object.entries(formats).map(([kind, { ending, entries, write }]) => {
      const file = `${month}-${kind}.${ending}`
      return {
        path: `workspace/q3/${file}`,
        text: write(entriesOf(file, month, purchases[kind], entries, draw, receipts), draw, month),
      }
    }),
  )
  return [...files, { path: 'private/payroll.csv', text: payroll() }]
}

function entriesOf(file, month, goods, count, draw, receipts) {
  const days = Array.from({ length: count }, () => draw(1, daysIn[month])).sort((a, b) => a - b)
  const entries = []
  for (const day of days) {
    const [category, note, low, high] = goods[draw(0, goods.length - 1)]
    receipts.next += draw(1, 3)
    entries.push({
      date: `2026-${month}-${String(day).padStart(2, '0')}`,
      receipt: `R-${receipts.next}`,
      employee: people[draw(0, people.length - 1)].name,
      category,
      amount: draw(low * 100, high * 100),
      currency: 'EUR',
      note,
    })
  }
  for (const { at, change, receiptOf } of faults.filter((fault) => fault.file === file))
    Object.assign(entries[at - 1], receiptOf ? { receipt: entries[receiptOf - 1].receipt } : change)
  return entries
}

function writeCsv(entries) {
  const columns = ['date', 'receipt', 'employee', 'category', 'amount', 'currency', 'note']
  const rows = entries.map((entry) =>
    columns.map((column) => quoted(column === 'amount' ? written(entry) : entry[column])).join(','),
  )
  return `${[columns.join(','), ...rows].join('\n')}\n`
}

function quoted(value) {
  return /[",]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value
}

/** Amounts are numbers in two entries of three and texts in the third, as in files that several programs wrote. */
function writeJson(entries) {
  const objects = entries.map(({ date, receipt, employee, category, currency, note, ...entry }, index) => {
    const amount = entry.written ?? (index % 3 === 2 ? written(entry) : entry.amount / 100)
    return { date, receipt, employee, category, amount, currency, note }
  })
  return `${JSON.stringify(objects, null, 2)}\n`
}

function writeNotes(entries, draw, month) {
  const lines = [`Notes on cash expenses, month ${month} of 2026`, '']
  for (const entry of entries) {
    const receipt = entry.receipt ? `${entry.receipt} ` : ''
    lines.push(`${entry.date} ${receipt}${entry.employee}: ${entry.note}, ${written(entry)} ${entry.currency}`)
    if (draw(1, 3) === 1) lines.push(remark(draw))
  }
  return `${lines.join('\n')}\n`
}

function remark(draw) {
  const person = people[draw(0, people.length - 1)]
  return remarks[draw(0, remarks.length - 1)].replace(/\{(\w+)\}/g, (_, field) => person[field])
}

function written({ written: instead, amount }) {
  return instead ?? (amount / 100).toFixed(2)
}

function payroll() {
  const rows = people.map(({ name, email, post, salary }) => `${name},${email},${post},${salary}.00,EUR`)
  return `${['employee,email,post,salary,currency', ...rows].join('\n')}\n`
}

/** Whole numbers from low to high, both included, the same sequence for a seed (mulberry32). */
function drawer(seed) {
  let state = seed
  return (low, high) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return low + (((mixed ^ (mixed >>> 14)) >>> 0) % (high - low + 1))
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = process.argv[2] ?? dirname(fileURLToPath(import.meta.url))
  for (const { path, text } of ledgerFiles()) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}
