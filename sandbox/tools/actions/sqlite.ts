/**
 * SQLite in memory: the one that is built into Node where it has one, the official WebAssembly build elsewhere (Node 20). Both are the same engine, and nothing
 * here asks for more than a table, rows and a question.
 */
import { isBuiltin } from 'node:module'
import { ActionError } from './error.js'

export type Cell = string | number | bigint | null

export interface Sqlite {
  run(sql: string): void
  insert(sql: string, rows: Iterable<readonly Cell[]>): void
  /** At most so many rows, and whether there were more. */
  ask(sql: string, most: number): { columns: string[]; rows: Cell[][]; more: boolean }
}

/** Without a flag; asked outside the sandbox too, since the other one needs WebAssembly. */
export const hasSqlite = isBuiltin('node:sqlite')

export const openSqlite = (): Promise<Sqlite> => (hasSqlite ? builtIn() : webAssembly())

async function builtIn(): Promise<Sqlite> {
  const { DatabaseSync } = await import('node:sqlite')
  const database = new DatabaseSync(':memory:')
  return {
    run: (sql) => database.exec(sql),
    insert: (sql, rows) => {
      const statement = database.prepare(sql)
      for (const row of rows) statement.run(...row)
    },
    ask: (sql, most) => {
      const statement = database.prepare(sql)
      statement.setReadBigInts(true)
      const columns = told(statement.columns().map(({ name }) => name))
      const rows: Cell[][] = []
      for (const row of statement.iterate()) {
        if (rows.length === most) return { columns, rows, more: true }
        rows.push(columns.map((name) => plain(row[name])))
      }
      return { columns, rows, more: false }
    },
  }
}

async function webAssembly(): Promise<Sqlite> {
  const { default: load } = await import('@sqlite.org/sqlite-wasm')
  const silent = () => undefined
  const { oo1 } = await load({ print: silent, printErr: silent })
  const database = new oo1.DB(':memory:')
  return {
    run: (sql) => void database.exec(sql),
    insert: (sql, rows) => {
      const statement = database.prepare(sql)
      for (const row of rows) statement.bind([...row]).stepReset()
      statement.finalize()
    },
    ask: (sql, most) => {
      const statement = database.prepare(sql)
      const columns = told(statement.getColumnNames())
      const rows: Cell[][] = []
      while (statement.step()) {
        if (rows.length === most) return { columns, rows, more: true }
        rows.push(columns.map((_, index) => plain(statement.get(index))))
      }
      return { columns, rows, more: false }
    },
  }
}

/** Rows are records in one of the two: of two columns with one name the later would hide the other. */
function told(columns: string[]): string[] {
  if (new Set(columns).size === columns.length) return columns
  throw new ActionError('Two columns of the result have one name: name them with AS.')
}

/** Whole numbers that a double cannot hold are said as text, so that what is printed is what was counted. */
function plain(value: unknown): Cell {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  return typeof value === 'string' || typeof value === 'number' ? value : null
}
