/** Rows of a CSV or JSON file: each a record of texts, with the place where it stands. */
import { ActionError } from './error.js'

export interface Row {
  /** 1-based: the line where the row starts in CSV, the index in the array in JSON. */
  readonly line: number
  readonly fields: Readonly<Record<string, string>>
}

export interface Table {
  readonly columns: readonly string[]
  readonly rows: readonly Row[]
}

export function parseJsonTable(text: string, path: string): Table {
  let items: unknown
  try {
    items = JSON.parse(text)
  } catch {
    throw new ActionError(`${path} is not valid JSON.`)
  }
  if (!Array.isArray(items)) throw new ActionError(`${path} is not a JSON array of objects.`)
  const rows = items.map((item: unknown, index) => ({ line: index + 1, fields: textFields(item) }))
  return { columns: [...new Set(rows.flatMap(({ fields }) => Object.keys(fields)))], rows }
}

function textFields(item: unknown): Record<string, string> {
  const fields: Record<string, string> = Object.create(null)
  if (typeof item === 'object' && item !== null)
    for (const [name, value] of Object.entries(item))
      if (typeof value === 'string' || typeof value === 'number') fields[name] = String(value)
  return fields
}

/** RFC 4180: quoted fields may hold commas, line breaks and doubled quotes. The first record names the columns. */
export function parseCsvTable(text: string, path: string): Table {
  const [header, ...records] = csvRecords(text, path)
  if (!header) throw new ActionError(`${path} is empty.`)
  const columns = header.values.map((name) => name.trim())
  const rows = records.map(({ line, values }) => {
    const fields: Record<string, string> = Object.create(null)
    for (const [index, name] of columns.entries()) fields[name] = values[index] ?? ''
    return { line, fields }
  })
  return { columns, rows }
}

function csvRecords(text: string, path: string): { line: number; values: string[] }[] {
  const records: { line: number; values: string[] }[] = []
  // One field, and what ends it. A quoted field is taken whole, whatever it holds.
  const field = /(?:"((?:[^"]|"")*)"[ \t]*|([^",\r\n][^,\r\n]*)?)(,|\r\n|\n|\r|$)/y
  let line = 1
  let record = { line, values: [] as string[] }
  while (field.lastIndex < text.length) {
    const start = field.lastIndex
    const match = field.exec(text)
    if (!match) throw new ActionError(`${path} has a stray quote in line ${line}.`)
    const [whole, quoted, plain = '', end] = match
    record.values.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
    line += whole.match(/\r\n|\n|\r/g)?.length ?? 0
    const last = end !== ','
    if (!last && field.lastIndex === text.length) record.values.push('')
    if (last || field.lastIndex === text.length) {
      if (record.values.length > 1 || record.values[0] !== '') records.push(record)
      record = { line, values: [] }
    }
    if (field.lastIndex === start) break
  }
  return records
}
