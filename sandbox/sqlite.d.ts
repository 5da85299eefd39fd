// The part of Node's own SQLite that is used. It came with Node 22, and the types here are those of Node 20.
declare module 'node:sqlite' {
  type Value = string | number | bigint | Uint8Array | null
  export class StatementSync {
    setReadBigInts(yes: boolean): void
    columns(): { name: string }[]
    run(...values: Value[]): unknown
    iterate(...values: Value[]): IterableIterator<Record<string, Value>>
  }
  export class DatabaseSync {
    constructor(path: string)
    exec(sql: string): void
    prepare(sql: string): StatementSync
  }
}
