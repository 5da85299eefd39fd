import { ClawmeshError } from '../../policies/errors.js'
import type { GenerateEvent } from '../backend.js'
import type { ToolSpec } from '../tool.js'
import { callMarks, parseCalls } from './call.js'

/** Most characters of one call: what never ends must not fill the memory. */
const longestCall = 256_000

type Part = Exclude<GenerateEvent, { type: 'done' }>

/**
 * Reads what a model writes into thoughts, text and calls, as it comes.
 *
 *     const reader = new AnswerReader({ tools, thinking: true })
 *     reader.push('It is one file.</think>\n<TOOLCALL>[{"name": ')   // [{ type: 'thought', text: 'It is one file.' }]
 *
 * 1. However the text is cut into pieces, the parts put together are the same: of what could be the beginning of a mark, nothing is given out.
 * 2. White space beside a mark belongs to the mark.
 * 3. Calls are looked for only where tools were offered, and never in a thought.
 */
export class AnswerReader {
  private readonly tools: readonly ToolSpec[]
  private mode: 'text' | 'thought' | 'call'
  private rest = ''
  private closing = ''
  /** Where the closing mark of a call has not been looked for yet. */
  private looked = 0
  private blank = ''
  private afterMark: boolean
  private begun = false

  /** `thinking`: the prompt has opened a thought already. */
  constructor({ tools = [], thinking = false }: { tools?: readonly ToolSpec[] | undefined; thinking?: boolean }) {
    this.tools = tools
    this.mode = thinking ? 'thought' : 'text'
    this.afterMark = thinking
  }

  /** What is written now is a thought, as far as has been read. */
  get isThinking(): boolean {
    return this.mode === 'thought'
  }

  /** Throws MODEL_FAILED for a call that is longer than any. */
  push(piece: string): Part[] {
    this.rest += piece
    const parts: Part[] = []
    while (this.advance(parts));
    return parts
  }

  /** What was held back. Throws MODEL_FAILED if the answer ends inside a call. */
  end(): Part[] {
    const parts: Part[] = []
    if (this.mode === 'call') {
      // The mark behind a call is often the model's last word, and then servers leave it out.
      const calls = parseCalls(this.rest, this.tools)
      if (!calls) throw unreadable('it ends inside a tool call, or the call is not JSON')
      parts.push(...calls.map((call): Part => ({ type: 'call', call })))
    } else {
      this.give(this.rest, parts)
      if (this.blank !== '' && !this.afterMark) parts.push(this.part(this.blank))
    }
    this.rest = ''
    this.blank = ''
    return parts
  }

  /** Takes the text up to the next mark; false when there is none yet. */
  private advance(parts: Part[]): boolean {
    if (this.mode === 'call') return this.advanceCall(parts)
    const marks = this.marks()
    const found = firstOf(this.rest, marks)
    const until = found?.at ?? this.rest.length - heldBack(this.rest, marks)
    this.give(this.rest.slice(0, until), parts)
    this.rest = this.rest.slice(until + (found?.mark.length ?? 0))
    if (!found) return false
    this.blank = ''
    this.afterMark = true
    this.mode = found.mark === '<think>' ? 'thought' : found.mark === '</think>' ? 'text' : 'call'
    this.closing = callMarks[found.mark] ?? ''
    this.looked = 0
    return true
  }

  private advanceCall(parts: Part[]): boolean {
    if (this.rest.length > longestCall) throw unreadable(`a tool call is longer than ${longestCall} characters`)
    // A mark inside an argument does not end the call: what stands before it is no whole call then.
    for (let at = this.nextClosing(); at !== -1; at = this.nextClosing()) {
      this.looked = at + 1
      const calls = parseCalls(this.rest.slice(0, at), this.tools)
      if (!calls) continue
      parts.push(...calls.map((call): Part => ({ type: 'call', call })))
      this.rest = this.rest.slice(at + this.closing.length)
      this.mode = 'text'
      this.begun = true
      return true
    }
    this.looked = Math.max(this.looked, this.rest.length - this.closing.length + 1)
    return false
  }

  private nextClosing(): number {
    return this.rest.indexOf(this.closing, this.looked)
  }

  private marks(): string[] {
    if (this.mode === 'thought') return ['</think>']
    return [...(this.mayThink() ? ['<think>'] : []), ...(this.tools.length > 0 ? Object.keys(callMarks) : [])]
  }

  /** A thought stands at the very beginning: further on, the mark is something that the model talks about. */
  private mayThink(): boolean {
    const written = (this.blank + this.rest).trimStart()
    return !this.begun && (written.startsWith('<think>') || '<think>'.startsWith(written))
  }

  private give(text: string, parts: Part[]): void {
    const all = this.blank + text
    const shown = all.trimEnd()
    this.blank = all.slice(shown.length)
    const given = this.afterMark ? shown.trimStart() : shown
    if (given === '') return
    this.afterMark = false
    if (this.mode === 'text') this.begun = true
    parts.push(this.part(given))
  }

  private part(text: string): Part {
    return { type: this.mode === 'thought' ? 'thought' : 'token', text }
  }
}

function firstOf(text: string, marks: readonly string[]): { at: number; mark: string } | undefined {
  const found = marks.map((mark) => ({ at: text.indexOf(mark), mark })).filter(({ at }) => at !== -1)
  return found.sort((a, b) => a.at - b.at)[0]
}

/** How many characters at the end of the text could be the beginning of a mark. */
function heldBack(text: string, marks: readonly string[]): number {
  const longest = Math.max(0, ...marks.map(({ length }) => length - 1))
  for (let length = Math.min(longest, text.length); length > 0; length--)
    if (marks.some((mark) => mark.startsWith(text.slice(-length)))) return length
  return 0
}

function unreadable(why: string): ClawmeshError {
  return new ClawmeshError('MODEL_FAILED', `The model's answer cannot be read: ${why}.`, {
    hint: 'Raise maxTokens, say the request in other words, or ask a more capable model.',
  })
}
