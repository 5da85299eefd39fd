import { isRecord } from '../models.js'
import type { ToolCall, ToolSpec } from '../tool.js'

/** What stands before and after the calls of an answer: Nemotron's first two generations, Nemotron 3 and Qwen, Nemotron Mini. */
export const callMarks: Readonly<Record<string, string>> = {
  '<TOOLCALL>': '</TOOLCALL>',
  '<tool_call>': '</tool_call>',
  '<toolcall>': '</toolcall>',
}

/**
 * The calls that were written between two marks, in one shape, whichever of these they have:
 *
 *     [{"name": "count_lines", "arguments": {"path": "notes.txt"}}]
 *     {"name": "count_lines", "arguments": {"path": "notes.txt"}}
 *     <function=count_lines><parameter=path>notes.txt</parameter></function>
 *
 * undefined for what is none of them, or not to its end.
 */
export function parseCalls(written: string, tools: readonly ToolSpec[]): ToolCall[] | undefined {
  const body = written.trim()
  const calls = body.startsWith('<function=') ? fromXml(body, tools) : fromJson(body)
  return calls && calls.length > 0 ? calls : undefined
}

function fromJson(body: string): ToolCall[] | undefined {
  const json = parseJson(body)
  const calls = (Array.isArray(json) ? json : [json]).map(toCall)
  return calls.every((call) => call !== undefined) ? calls : undefined
}

function toCall(value: unknown): ToolCall | undefined {
  if (!isRecord(value) || typeof value.name !== 'string') return undefined
  const given = value.arguments ?? value.parameters ?? {}
  // Some models write the arguments as a string of JSON.
  const parsed = typeof given === 'string' ? parseJson(given) : given
  return isRecord(parsed) ? { name: value.name, arguments: parsed } : undefined
}

const functions = /<function=([^>\s]+)>([\s\S]*?)<\/function>\s*/g
// A value may spell </parameter> itself: it ends where the next parameter or nothing follows.
const parameters = /<parameter=([^>\s]+)>\n?([\s\S]*?)\n?<\/parameter>\s*(?=<parameter=|$)/g

function fromXml(body: string, tools: readonly ToolSpec[]): ToolCall[] | undefined {
  const found = [...body.matchAll(functions)]
  if (found.map(([whole]) => whole).join('') !== body) return undefined
  return found.map(([, name = '', inner = '']) => {
    const types = tools.find((tool) => tool.name === name)?.parameters.properties ?? {}
    const values = [...inner.trim().matchAll(parameters)].map(
      ([, key = '', value = '']) => [key, typed(value, types[key]?.type)] as const,
    )
    return { name, arguments: Object.fromEntries(values) }
  })
}

/** XML says nothing of types: the tool's schema does. What is not of its type stays text, and the check of the call refuses it. */
function typed(value: string, type: string | undefined): unknown {
  return type === undefined || type === 'string' ? value : (parseJson(value.trim()) ?? value)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
