import { basename, extname } from 'node:path'
import { ActionError } from './error.js'
import { type Cell, openSqlite, type Sqlite } from './sqlite.js'
import { parseCsvTable } from './table.js'
import { readText } from './text.js'

const mostRows = 1000
const mostCharacters = 65_536

interface Data {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly Cell[])[]
}

/** One SELECT over files, each of which is a table with the file's name: `july.csv` is `july`. Everything lies in memory; no file is changed. */
export async function queryTables({ files, sql }: { files: readonly string[]; sql: string }) {
  // Nothing else can open a file or write one: there is one statement, and it is an expression over tables.
  if (!/^\s*(select|with|values)\b/i.test(sql))
    throw new ActionError('The query must begin with SELECT, WITH or VALUES.')
  const sqlite = await openSqlite()
  const names = tableNames(files)
  for (const [index, path] of files.entries()) load(sqlite, names[index] ?? '', read(path))
  const { columns, rows, more } = explained(() => sqlite.ask(sql, mostRows))
  const lines = [columns, ...rows].map((row) => row.map(shown).join('\t'))
  const text = lines.join('\n')
  return {
    columns,
    rows,
    more,
    text: text.length > mostCharacters ? `${text.slice(0, mostCharacters)}\n…` : text,
    summary: `${rows.length} ${rows.length === 1 ? 'row' : 'rows'}${more ? `, the first of more` : ''}`,
  }
}

/** The names of files as SQL says them without quotes; a second file of one name is `name_2`. */
export function tableNames(files: readonly string[]): string[] {
  const names: string[] = []
  for (const file of files) {
    const stem = basename(file, extname(file))
      .replace(/\W/g, '_')
      .replace(/^(?=\d)|^$/, 't')
    let name = stem
    for (let again = 2; names.some((taken) => taken.toLowerCase() === name.toLowerCase()); again += 1)
      name = `${stem}_${again}`
    names.push(name)
  }
  return names
}

function load(sqlite: Sqlite, name: string, { columns, rows }: Data): void {
  const types = columns.map((_, index) => (rows.every((row) => typeof row[index] !== 'string') ? 'NUMERIC' : 'TEXT'))
  const list = columns.map((column, index) => `${quoted(column)} ${types[index]}`).join(', ')
  explained(() => {
    sqlite.run(`CREATE TABLE ${quoted(name)} (${list})`)
    sqlite.run('BEGIN')
    sqlite.insert(`INSERT INTO ${quoted(name)} VALUES (${columns.map(() => '?').join(', ')})`, rows)
    sqlite.run('COMMIT')
  })
}

function read(path: string): Data {
  const text = readText(path)
  const isJson = ['.json', '.jsonl', '.ndjson'].includes(extname(path).toLowerCase()) || /^\s*[[{]/.test(text)
  const data = isJson ? fromJson(text, path) : fromCsv(text, path)
  if (data.columns.length === 0) throw new ActionError(`${path} has no columns.`)
  return data
}

/** A column whose every cell is a number or empty is one of numbers; what is empty is NULL. */
function fromCsv(text: string, path: string): Data {
  const table = parseCsvTable(text, path)
  const columns = [...new Set(table.columns)]
  const numeric = columns.map((column) =>
    table.rows.every(({ fields }) => /^\s*$|^\s*-?(0|[1-9]\d{0,14})(\.\d+)?\s*$/.test(fields[column] ?? '')),
  )
  const cell = (value: string, isNumber: boolean | undefined): Cell =>
    value.trim() === '' ? null : isNumber ? Number(value) : value
  return {
    columns,
    rows: table.rows.map(({ fields }) => columns.map((column, index) => cell(fields[column] ?? '', numeric[index]))),
  }
}

/** An array of objects, or an object in each line. What is nested stays JSON, which SQL can look into. */
function fromJson(text: string, path: string): Data {
  const items = parsed(text) ?? lines(text, path)
  const records = (Array.isArray(items) ? items : [items]).map((item: unknown) => {
    if (typeof item !== 'object' || item === null || Array.isArray(item))
      throw new ActionError(`${path} is not a list of JSON objects.`)
    return item as Record<string, unknown>
  })
  const columns = [...new Set(records.flatMap((record) => Object.keys(record)))]
  return { columns, rows: records.map((record) => columns.map((column) => jsonCell(record[column]))) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function lines(text: string, path: string): unknown[] {
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return []
    const item = parsed(line)
    if (item === undefined) throw new ActionError(`${path} is not valid JSON in line ${index + 1}.`)
    return [item]
  })
}

function jsonCell(value: unknown): Cell {
  if (value === undefined || value === null) return null
  if (typeof value === 'string' || typeof value === 'number') return value
  return typeof value === 'boolean' ? Number(value) : JSON.stringify(value)
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`
const shown = (cell: Cell) => (cell === null ? '' : String(cell).replace(/[\t\n]/g, ' '))

function explained<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw error instanceof ActionError
      ? error
      : new ActionError(`SQL: ${error instanceof Error ? error.message : error}.`)
  }
}
