/**
 * What the tools do, by name. This is all that runs inside the sandbox, so it imports nothing but Node: no schema library, no
 * configuration, no mesh.
 */
import { calculate } from './actions/calculate.js'
import { checkEntries } from './actions/check_entries.js'
import { fileSize, listFiles, writeNote } from './actions/files.js'
import { countLines, countWords, firstLines, readFile, searchText } from './actions/lines.js'
import { sumColumn } from './actions/sum_column.js'

export const actions = {
  list_files: listFiles,
  read_file: readFile,
  count_lines: countLines,
  count_words: countWords,
  first_lines: firstLines,
  search_text: searchText,
  sum_column: sumColumn,
  check_entries: checkEntries,
  file_size: fileSize,
  write_note: writeNote,
  calculate,
  no_tool: () => ({ summary: 'None of the tools does this.' }),
} as const

export type ToolName = keyof typeof actions

/** What every tool gives back: facts of its own, and a summary in words. */
export interface ToolResult {
  readonly summary: string
  readonly [fact: string]: unknown
}
