/** What the general tools do, by name, where that is not to run a program. As with `actions`, this runs inside the sandbox and imports nothing but Node. */
import { patchFiles, readLines, writeFile } from './actions/edit.js'
import { httpFetch } from './actions/http_fetch.js'
import { queryTables } from './actions/query_tables.js'
import { findFiles, searchFiles } from './actions/tree.js'

export const generalActions = {
  read_lines: readLines,
  find_files: findFiles,
  search_files: searchFiles,
  write_file: writeFile,
  patch_files: patchFiles,
  query_tables: queryTables,
  http_fetch: httpFetch,
} as const

export type GeneralActions = typeof generalActions
