/** The closed set of tools. */
import { z } from 'zod'
import { actions, type ToolName } from './actions.js'
import { type GeneralToolName, generalTools } from './general.js'
import { defineTool, type Tool, type ToolSpec, toolSpec } from './tool.js'

const text = z
  .string()
  .max(4096)
  .refine((value) => !value.includes('\0'), 'must not hold a NUL character')
const some = text.refine((value) => value !== '', 'must not be empty')
const path = some.describe('a file, as the person wrote it')
const readsPath = ({ path }: { path: string }) => [path]

export const tools = {
  list_files: defineTool({
    name: 'list_files',
    description: 'List what a folder holds; the workspace itself when no path is given.',
    args: z.strictObject({ path: path.optional() }),
    copy: ['path'],
    reads: ({ path = '.' }) => [path],
    run: actions.list_files,
  }),
  read_file: defineTool({
    name: 'read_file',
    description: 'Show a text file.',
    args: z.strictObject({ path }),
    copy: ['path'],
    reads: readsPath,
    run: actions.read_file,
  }),
  count_lines: defineTool({
    name: 'count_lines',
    description: 'Count the lines of a file.',
    args: z.strictObject({ path }),
    copy: ['path'],
    reads: readsPath,
    run: actions.count_lines,
  }),
  count_words: defineTool({
    name: 'count_words',
    description: 'Count the words of a file.',
    args: z.strictObject({ path }),
    copy: ['path'],
    reads: readsPath,
    run: actions.count_words,
  }),
  first_lines: defineTool({
    name: 'first_lines',
    description: 'Show the first lines of a file.',
    args: z.strictObject({ path, count: z.int().min(1).max(1000) }),
    copy: ['path'],
    reads: readsPath,
    run: actions.first_lines,
  }),
  search_text: defineTool({
    name: 'search_text',
    description: 'Find the lines of a file that contain a text.',
    args: z.strictObject({ path, text: some }),
    copy: ['path', 'text'],
    reads: readsPath,
    run: actions.search_text,
  }),
  sum_column: defineTool({
    name: 'sum_column',
    description: 'Add up a named column of a CSV or JSON file.',
    args: z.strictObject({ path, column: some }),
    copy: ['path', 'column'],
    reads: readsPath,
    run: actions.sum_column,
  }),
  check_entries: defineTool({
    name: 'check_entries',
    description: 'Check a file of expense entries: the valid total, and each faulty entry with its reason.',
    args: z.strictObject({ path }),
    copy: ['path'],
    reads: readsPath,
    run: actions.check_entries,
  }),
  file_size: defineTool({
    name: 'file_size',
    description: 'Tell the size of a file in bytes.',
    args: z.strictObject({ path }),
    copy: ['path'],
    reads: readsPath,
    run: actions.file_size,
  }),
  write_note: defineTool({
    name: 'write_note',
    description: 'Write a text to a file.',
    args: z.strictObject({ path, text }),
    copy: ['path', 'text'],
    writes: readsPath,
    run: actions.write_note,
  }),
  calculate: defineTool({
    name: 'calculate',
    description: 'Work out an arithmetic expression.',
    args: z.strictObject({ expression: some.max(500) }),
    charset: { expression: '0-9 .+-*/()' },
    run: actions.calculate,
  }),
  no_tool: defineTool({
    name: 'no_tool',
    description: 'The request is for something that none of the other tools does.',
    args: z.strictObject({}),
    run: actions.no_tool,
  }),
} satisfies Record<ToolName, Tool>

export const toolSpecs: readonly ToolSpec[] = Object.values(tools).map(toolSpec)

/** Of the closed set, or a general one; undefined for any other name. */
export function findTool(name: string): Tool | undefined {
  if (Object.hasOwn(tools, name)) return tools[name as ToolName]
  return Object.hasOwn(generalTools, name) ? generalTools[name as GeneralToolName] : undefined
}
