import { ClawmeshError } from '../../policies/errors.js'
import type { ToolCall } from '../tool.js'
import type { ToolRule, ValueRule } from './rule.js'
import type { Spans } from './span.js'
import { openValue, type ValueState } from './value.js'

/** A byte, or one of the marks of the compact format. */
export type CallSymbol = number
export const marks = { call: 256, arg: 257, end: 258 } as const

/**
 * What may follow in a compact call, `<|call|>name<|arg|>value…<|end|>`. Immutable: `push` gives the next state.
 *
 * Invariant: from each state that `push` gives, an end can be reached; only the tokens may run out.
 */
export interface CallState {
  readonly next: ReadonlySet<CallSymbol>
  /** The symbol must be one of `next`. */
  push(symbol: CallSymbol): CallState
  /** There once the end mark was pushed: the call as it was written. */
  readonly call?: ToolCall
}

/** The state before the call mark. `spans` are those of the last user message. */
export function openCall(tools: readonly ToolRule[], spans: Spans): CallState {
  const possible = tools.filter((tool) => isWritable(tool, spans))
  return { next: new Set(possible.length > 0 ? [marks.call] : []), push: () => naming(possible, spans, 0) }
}

/** False for a tool that must copy from a message in which there is nothing to copy. */
function isWritable(tool: ToolRule, spans: Spans): boolean {
  return tool.args.slice(0, tool.required).every(({ value }) => openValue(value, spans).next.size > 0)
}

function naming(tools: readonly ToolRule[], spans: Spans, at: number): CallState {
  const named = tools.find(({ name }) => name.length === at)
  const next = new Set(tools.filter(({ name }) => name.length > at).map(({ name }) => name.charCodeAt(at)))
  const behind = named && afterValue(named, spans, [])
  for (const symbol of behind?.next ?? []) next.add(symbol)
  return {
    next,
    push: (symbol) =>
      behind?.next.has(symbol)
        ? behind.push(symbol)
        : naming(
            tools.filter(({ name }) => name.charCodeAt(at) === symbol),
            spans,
            at + 1,
          ),
  }
}

/** Behind the name, or behind a complete argument: the next argument, or the end. */
function afterValue(tool: ToolRule, spans: Spans, values: readonly string[]): CallState {
  const argument = tool.args[values.length]
  const next = new Set<CallSymbol>()
  const opened = argument && openValue(argument.value, spans)
  if (opened && opened.next.size > 0) next.add(marks.arg)
  if (values.length >= tool.required) next.add(marks.end)
  return {
    next,
    push: (symbol) =>
      symbol === marks.arg && opened ? valuing(tool, spans, values, opened, []) : ended(toCall(tool, values)),
  }
}

function valuing(
  tool: ToolRule,
  spans: Spans,
  values: readonly string[],
  value: ValueState,
  written: readonly number[],
): CallState {
  const behind = value.complete ? afterValue(tool, spans, [...values, decode(written)]) : undefined
  return {
    next: new Set([...value.next, ...(behind?.next ?? [])]),
    push: (symbol) =>
      behind && symbol > 255
        ? behind.push(symbol)
        : valuing(tool, spans, values, value.push(symbol), [...written, symbol]),
  }
}

function ended(call: ToolCall): CallState {
  return {
    next: new Set(),
    call,
    push: () => {
      throw new ClawmeshError('INTERNAL', 'A finished call was written to.')
    },
  }
}

function decode(bytes: readonly number[]): string {
  return new TextDecoder().decode(Uint8Array.from(bytes))
}

/** The written values with their types. */
export function toCall(tool: ToolRule, values: readonly string[]): ToolCall {
  const named = tool.args.slice(0, values.length).map(({ name, value }, i) => [name, typed(value, values[i] ?? '')])
  return { name: tool.name, arguments: Object.fromEntries(named) }
}

function typed(rule: ValueRule, written: string): unknown {
  if (rule.kind === 'integer') return Number(written)
  if (rule.kind === 'choice') return rule.typed.get(written)
  return written
}
