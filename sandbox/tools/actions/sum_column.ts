import { ActionError } from './error.js'
import { add, type Fraction, formatDecimal, parseDecimal, zero } from './fraction.js'
import { parseCsvTable, parseJsonTable } from './table.js'
import { readText } from './text.js'

/** Adds up exactly; cells that hold no number are counted and left out. */
export function sumColumn({ path, column }: { path: string; column: string }) {
  const text = readText(path)
  const { columns, rows } = /^\s*[[{]/.test(text) ? parseJsonTable(text, path) : parseCsvTable(text, path)
  const name =
    columns.find((known) => known === column) ?? columns.find((known) => known.toLowerCase() === column.toLowerCase())
  if (name === undefined)
    throw new ActionError(
      `${path} has no column '${column}'; it has ${columns.map((known) => `'${known}'`).join(', ')}.`,
    )
  let total: Fraction = zero
  let added = 0
  for (const { fields } of rows) {
    const value = parseDecimal(fields[name] ?? '')
    if (!value) continue
    total = add(total, value)
    added++
  }
  const { text: sum } = formatDecimal(total)
  const left = rows.length - added
  return {
    sum,
    rows: added,
    leftOut: left,
    summary: `${sum} (${added} rows${left > 0 ? `, ${left} without a number` : ''})`,
  }
}
