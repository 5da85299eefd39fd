import type { ToolArgument, ToolSpec } from './tool.js'

const path: ToolArgument = { type: 'string', description: 'A file, relative to the workspace', 'x-copy': true }
const folder: ToolArgument = {
  type: 'string',
  description: 'A folder; the workspace itself if left out',
  'x-copy': true,
}
const text = (description: string): ToolArgument => ({ type: 'string', description, 'x-copy': true })
const count: ToolArgument = { type: 'integer', description: 'How many', minimum: 1, maximum: 1_000_000 }
const expression: ToolArgument = {
  type: 'string',
  description: 'Numbers, + - * / and parentheses',
  'x-charset': '0-9 .+-*/()',
}

function tool(
  name: string,
  description: string,
  properties: Record<string, ToolArgument>,
  required?: string[],
): ToolSpec {
  return {
    name,
    description,
    parameters: { type: 'object', properties, required: required ?? Object.keys(properties) },
  }
}

/**
 * The closed set of tools that the shipped model knows, as they are offered to it; larger models understand them as well. The order
 * of the arguments is the order in which the model writes them.
 */
export const shippedTools: readonly ToolSpec[] = [
  tool('list_files', 'List the files in a folder', { path: folder }, []),
  tool('read_file', 'Show a text file', { path }),
  tool('count_lines', 'Count the lines of a file', { path }),
  tool('count_words', 'Count the words of a file', { path }),
  tool('first_lines', 'Show the first lines of a file', { path, count }),
  tool('search_text', 'Find the lines of a file that contain a text', { path, text: text('What to look for') }),
  tool('sum_column', 'Add up a column of a CSV or JSON file', { path, column: text('The name of the column') }),
  tool('check_entries', 'Check a file of expense entries: total, faulty entries with reasons', { path }),
  tool('file_size', 'The size of a file in bytes', { path }),
  tool('write_note', 'Write a text to a file', { path, text: text('What to write') }),
  tool('calculate', 'Work out an arithmetic expression', { expression }),
  tool('no_tool', 'None of the other tools does what is asked', {}),
]
