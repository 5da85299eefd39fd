/**
 * The general tools: for agents whose model can work with any tool, and for programs. They run as those of the closed set do: in a sandbox, by its policy, asked
 * for where that says so, recorded and limited. The model that ships knows nothing of them.
 *
 * 1. A program (`shell`, `python`) is started only where the policy lets it be executed. `node` is the one that everything here runs on, and needs no grant.
 * 2. A program gets what the policy grants and nothing else. What it is to read or write beyond that it names before it starts, so that a person can be asked.
 */
import { z } from 'zod'
import { parseDiff } from './actions/diff.js'
import { ActionError } from './actions/error.js'
import { generalActions } from './general-actions.js'
import { nodeSnippet } from './runtime.js'
import { defineTool, type Tool, type ToolSpec, toolSpec } from './tool.js'

const withoutNul = (text: string) => !text.includes('\0')
const some = z.string().min(1).max(4096).refine(withoutNul, 'must not hold a NUL character')
const path = some.describe('relative to the workspace')
const long = z.string().max(262_144).refine(withoutNul, 'must not hold a NUL character')
/** One argument of a program: the kernel takes 128 KiB. */
const code = some.max(65_536).refine((text) => Buffer.byteLength(text) <= 100_000, 'is longer than 100,000 bytes')
const paths = z.array(path).max(32)

const declared = {
  reads: paths.optional().describe('files or folders that the policy does not grant: a person is asked for them'),
  writes: paths
    .optional()
    .describe('files or folders that are written and that the policy does not grant: a person is asked for them'),
  executes: paths
    .optional()
    .describe('programs that it starts and that the policy does not grant, by name: a person is asked for them'),
}
const named = {
  reads: ({ reads = [] }: { reads?: string[] | undefined }) => reads,
  writes: ({ writes = [] }: { writes?: string[] | undefined }) => writes,
  executes: ({ executes = [] }: { executes?: string[] | undefined }) => executes,
}

const diff = long.min(1).superRefine((text, context) => {
  try {
    parseDiff(text)
  } catch (error) {
    if (!(error instanceof ActionError)) throw error
    context.addIssue({ code: 'custom', message: error.message })
  }
})

const url = some.refine(
  (text) =>
    /^https?:\/\//i.test(text) && URL.canParse(text) && new URL(text).username === '' && new URL(text).password === '',
  'must be a URL of http or https, without a password',
)

const pattern = some.optional().describe('of the names: *.csv, or with a slash of the paths: src/**/*.ts')

export const generalTools = {
  shell: defineTool({
    name: 'shell',
    description: 'Run a command line by /bin/sh in the workspace; gives its output and status.',
    args: z.strictObject({ command: code, ...declared }),
    ...named,
    hasEffect: true,
    reaches: true,
    program: ({ command }) => ({ command: 'sh', args: ['-c', command] }),
  }),
  python: defineTool({
    name: 'python',
    description: 'Run Python code in the workspace; gives what it prints and its status.',
    args: z.strictObject({ code, ...declared }),
    ...named,
    hasEffect: true,
    reaches: true,
    // Isolated: what lies in the workspace is data, and no module.
    program: ({ code }) => ({ command: 'python3', args: ['-I', '-B', '-c', code] }),
  }),
  node: defineTool({
    name: 'node',
    description: 'Run JavaScript code, an ES module, by Node in the workspace; gives what it prints and its status.',
    args: z.strictObject({ code, ...declared }),
    ...named,
    hasEffect: true,
    reaches: true,
    program: ({ code }) => ({ command: 'node', args: nodeSnippet(code) }),
  }),
  read_lines: defineTool({
    name: 'read_lines',
    description: 'Read some lines of a text file; the first 500 when nothing else is said.',
    args: z.strictObject({ path, from: z.int().min(1).optional(), count: z.int().min(1).max(5000).optional() }),
    reads: ({ path }) => [path],
    run: generalActions.read_lines,
  }),
  find_files: defineTool({
    name: 'find_files',
    description: 'List the files in a folder and all below it; of the workspace when no path is given.',
    args: z.strictObject({ path: path.optional(), name: pattern }),
    reads: ({ path = '.' }) => [path],
    run: generalActions.find_files,
  }),
  search_files: defineTool({
    name: 'search_files',
    description: 'Find the lines that hold a text, in a file or in all text files of a folder and below it.',
    args: z.strictObject({
      path: path.optional(),
      name: pattern,
      text: some,
      regular_expression: z.boolean().optional(),
    }),
    reads: ({ path = '.' }) => [path],
    run: generalActions.search_files,
  }),
  write_file: defineTool({
    name: 'write_file',
    description: 'Write a text file, in place of what was there.',
    args: z.strictObject({ path, text: long }),
    writes: ({ path }) => [path],
    run: generalActions.write_file,
  }),
  patch_files: defineTool({
    name: 'patch_files',
    description: 'Apply a unified diff to files of the workspace, exactly and all of it, or say why not.',
    args: z.strictObject({ diff }),
    writes: ({ diff }) => parseDiff(diff).flatMap(({ before, after }) => after ?? before ?? []),
    hasEffect: true,
    run: generalActions.patch_files,
  }),
  query_tables: defineTool({
    name: 'query_tables',
    description:
      'Ask one SELECT (SQLite) over CSV and JSON files. Each file is a table with its name, without the ending: july.csv is july.',
    args: z.strictObject({ files: paths.min(1), sql: some.max(16_384) }),
    reads: ({ files }) => files,
    needsSqlite: true,
    run: generalActions.query_tables,
  }),
  http_fetch: defineTool({
    name: 'http_fetch',
    description: 'Get a page or a file by its URL, over the network that the policy lets through; of HTML the words.',
    args: z.strictObject({ url }),
    reaches: true,
    run: generalActions.http_fetch,
  }),
} satisfies Record<string, Tool>

export type GeneralToolName = keyof typeof generalTools

export const generalSpecs: readonly ToolSpec[] = Object.values(generalTools).map(toolSpec)
