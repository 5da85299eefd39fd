/**
 * A function of your own as a tool. It runs in a sandbox, as a program of its own, so it has to stand alone: it uses its arguments, what Node has, and nothing of what is around it.
 * What it needs it imports inside. What it gives is told as JSON.
 *
 *     ownTool({
 *       name: 'total',
 *       description: 'Adds up the numbers of a file, one in each line.',
 *       args: z.object({ path: z.string() }),
 *       run: async ({ path }) => {
 *         const { readFileSync } = await import('node:fs')
 *         return readFileSync(path, 'utf8').split('\\n').reduce((sum, line) => sum + Number(line), 0)
 *       },
 *     })
 */
import { Script } from 'node:vm'
import { z } from 'zod'
import { ClawmeshError } from '../../../policies/errors.js'
import type { ToolResult } from '../../../sandbox/tools/actions.js'
import { type FunctionTool, type OwnTool, specOf } from './tool.js'

interface Definition<A extends z.ZodObject> {
  name: string
  description: string
  args: A
}

interface Sandboxed<A extends z.ZodObject> extends Definition<A> {
  runs?: 'sandbox'
  run: (args: z.output<A>) => unknown
  /** Files or folders that the policy does not grant: a person is asked for them. */
  reads?: (args: z.output<A>) => string[]
  writes?: (args: z.output<A>) => string[]
  /** Doing it twice is as good as doing it once: a run that was cut off in it simply does it again. */
  repeatable?: boolean
}

interface InProcess<A extends z.ZodObject> extends Definition<A> {
  /** It is not sandboxed. */
  runs: 'in-process'
  run: (args: z.output<A>, signal: AbortSignal) => unknown
}

/** Throws USAGE for what cannot run alone, and for a place that there is not. */
export function ownTool<A extends z.ZodObject>(definition: Sandboxed<A>): FunctionTool
export function ownTool<A extends z.ZodObject>(definition: InProcess<A>): OwnTool
export function ownTool<A extends z.ZodObject>(definition: Sandboxed<A> | InProcess<A>): FunctionTool | OwnTool {
  const { name, description, args, runs = 'sandbox' } = definition
  const spec = specOf(name, description, args)
  const checked = (given: Record<string, unknown>): z.output<A> => {
    const parsed = args.safeParse(given)
    if (!parsed.success) throw new ClawmeshError('MESSAGE_INVALID', `${name}: ${z.prettifyError(parsed.error)}`)
    return parsed.data
  }
  if (definition.runs === 'in-process')
    return { kind: 'own', spec, call: async (given, signal) => definition.run(checked(given), signal) }
  if (runs !== 'sandbox')
    throw new ClawmeshError('USAGE', `The tool ${name} cannot run in "${runs}".`, {
      hint: "It runs in a sandbox, or, if you say so, in the agent's process: runs: 'in-process'.",
    })
  const source = expressionOf(name, definition.run)
  const { reads, writes, repeatable = false } = definition
  return {
    kind: 'function',
    spec,
    repeatable,
    program: (given, as = name) => {
      const values = checked(given)
      const code = `${headOf(as, values)}\n${programOf(source, values)}`
      return { code, ...(reads ? { reads: reads(values) } : {}), ...(writes ? { writes: writes(values) } : {}) }
    },
  }
}

/** A function as an expression of its source. Methods are written in another way than functions, and some have no source. */
function expressionOf(name: string, run: (...args: never[]) => unknown): string {
  const source = String(run)
  const forms = [`(${source})`, `Object.values({ ${source} })[0]`]
  const found = forms.find(isJavaScript)
  if (found) return found
  throw new ClawmeshError('USAGE', `The function of the tool ${name} has no source that could run alone.`, {
    hint: "Give a plain function, or say runs: 'in-process' if it may do all that this process may.",
  })
}

function isJavaScript(text: string): boolean {
  try {
    new Script(text)
    return true
  } catch {
    return false
  }
}

/** The first that a person reads of a program who is asked for it. One line whatever is in the arguments, so that nothing of them is program. */
function headOf(name: string, args: unknown): string {
  const told = JSON.stringify(args).replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (sign) => `\\u{${sign.codePointAt(0)?.toString(16)}}`,
  )
  const signs = [...told]
  return `// ${name} ${signs.length > mostTold ? `${signs.slice(0, mostTold).join('')}…` : told}`
}
const mostTold = 150

/** What it prints is its own; the last line is what it gives. Arguments are a text within the program, and no part of it. */
const programOf = (source: string, args: unknown): string => `const run = ${source}
try {
  const value = await run(JSON.parse(${JSON.stringify(JSON.stringify(args))}))
  process.stdout.write('\\n' + JSON.stringify({ value: value ?? null }))
} catch (error) {
  process.stderr.write(String(error?.message ?? error))
  process.exitCode = 1
}`

const givenSchema = z.object({ value: z.unknown() })

/** What the program of a function gave, or why it gave nothing. */
export function givenBy({ exitCode, output, errors, summary }: ToolResult): { value: unknown } | { why: string } {
  const last = String(output ?? '')
    .split('\n')
    .at(-1)
  try {
    if (exitCode === 0) return { value: givenSchema.parse(JSON.parse(last ?? '')).value }
  } catch {
    return { why: 'what it gave is longer than a tool may say, or it ended before it gave anything' }
  }
  return { why: String(errors || summary) }
}
