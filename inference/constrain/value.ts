import type { ValueRule } from './rule.js'
import type { Spans } from './span.js'

/** An argument as far as it is written. Immutable: `push` gives the next state. */
export interface ValueState {
  /** The bytes that may follow. */
  readonly next: ReadonlySet<number>
  /** True if the value may end here. */
  readonly complete: boolean
  /** The byte must be one of `next`. */
  push(byte: number): ValueState
}

/** Longest free text or expression, in bytes: without an end in sight a model goes on until its context is full. */
const longest = 512

export function openValue(rule: ValueRule, spans: Spans): ValueState {
  if (rule.kind === 'copy')
    return copying(
      spans,
      spans.starts.map(({ at, end }) => ({ from: at, at, end })),
    )
  if (rule.kind === 'integer') return counting(rule.minimum, rule.maximum, '')
  if (rule.kind === 'choice')
    return choosing(
      [...rule.typed.keys()].map((value) => new TextEncoder().encode(value)),
      0,
    )
  return writing(rule.kind === 'charset' ? rule.bytes : anyText, 0)
}

const anyText: ReadonlySet<number> = new Set(
  Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte >= 32 || byte === 9 || byte === 10),
)

function writing(bytes: ReadonlySet<number>, length: number): ValueState {
  return {
    next: length < longest ? bytes : new Set(),
    complete: length > 0,
    push: () => writing(bytes, length + 1),
  }
}

interface Reader {
  from: number
  at: number
  end: number | undefined
}

/** All pieces of the message that agree with what is written so far, side by side. */
function copying(spans: Spans, readers: readonly Reader[]): ValueState {
  const next = new Set<number>()
  let complete = false
  for (const { from, at, end } of readers) {
    const byte = spans.bytes[at]
    if (at < (end ?? spans.lastEnd) && byte !== undefined) next.add(byte)
    if (at > from && (end === undefined ? spans.isEnd(at) : at === end)) complete = true
  }
  return {
    next,
    complete,
    push: (byte) =>
      copying(
        spans,
        readers
          .filter(({ at, end }) => at < (end ?? spans.lastEnd) && spans.bytes[at] === byte)
          .map(({ from, at, end }) => ({ from, at: at + 1, end })),
      ),
  }
}

function choosing(values: readonly Uint8Array[], at: number): ValueState {
  return {
    next: new Set(values.flatMap((value) => value[at] ?? [])),
    complete: values.some((value) => value.length === at),
    push: (byte) =>
      choosing(
        values.filter((value) => value[at] === byte),
        at + 1,
      ),
  }
}

/** Decimal digits without a leading zero that make, or still can make, a number within the bounds. */
function counting(minimum: number, maximum: number, digits: string): ValueState {
  const candidates = Array.from({ length: 10 }, (_, digit) => `${digits}${digit}`)
  const viable = candidates.filter((candidate) => digits !== '0' && canReach(candidate, minimum, maximum))
  const value = Number(digits)
  return {
    next: new Set(viable.map((candidate) => candidate.charCodeAt(candidate.length - 1))),
    complete: digits !== '' && value >= minimum && value <= maximum,
    push: (byte) => counting(minimum, maximum, digits + String.fromCharCode(byte)),
  }
}

function canReach(digits: string, minimum: number, maximum: number): boolean {
  const value = Number(digits)
  if (value === 0) return minimum <= 0 && maximum >= 0
  for (let low = value, width = 1; low <= maximum; low *= 10, width *= 10) if (low + width - 1 >= minimum) return true
  return false
}
