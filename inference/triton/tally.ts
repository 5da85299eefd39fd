import { ClawmeshError } from '../../policies/errors.js'
import type { Usage } from '../backend.js'
import type { Dialect, Piece } from './dialect.js'

/** More characters than a token ever has, on average over an answer. */
const charactersPerToken = 64

/**
 * Turns the pieces of an answer into its new text, and keeps count.
 *
 * 1. More text, or more pieces, than the tokens asked for could come to is a failure: no server fills the memory.
 * 2. What repeats the prompt, or the words that end an answer, is no part of the text.
 */
export class Tally {
  private readonly maxTokens: number
  private readonly form: Dialect['text']
  private readonly stops: readonly string[]
  private echo: string
  private seen = ''
  private held = ''
  private stopped = false
  private pieces = 0
  private characters = 0
  private promptTokens: number | undefined
  private outputTokens: number | undefined
  private reason: 'stop' | 'length' | undefined

  /** `echo`: the prompt, where the server may put it before its answer. */
  constructor(maxTokens: number, form: Dialect['text'], echo: string, stops: readonly string[]) {
    this.maxTokens = maxTokens
    this.form = form
    this.echo = echo
    this.stops = stops
  }

  /** The text that is new with this piece. Throws MODEL_FAILED (invariant 1). */
  take(piece: Piece): string {
    this.promptTokens ??= piece.promptTokens
    if (piece.outputTokens !== undefined) this.outputTokens = (this.outputTokens ?? 0) + piece.outputTokens
    this.reason = piece.reason ?? this.reason
    const fresh = this.form === 'whole' ? this.beyond(piece.text) : piece.text
    this.pieces++
    this.characters += fresh.length
    if (
      this.pieces > 1024 + 4 * this.maxTokens ||
      this.characters > 1024 + charactersPerToken * this.maxTokens + this.echo.length
    )
      throw failed(`it writes more than the ${this.maxTokens} tokens that it was asked for`)
    return this.settle(this.held + fresh)
  }

  /** Why the answer ended and what it took. Where a server counts nothing, an answer of as many pieces as tokens were allowed was cut. */
  end(): { reason: 'stop' | 'length'; usage: Usage | null } {
    const { promptTokens, outputTokens, maxTokens } = this
    const usage = promptTokens === undefined || outputTokens === undefined ? null : { promptTokens, outputTokens }
    return { reason: this.reason ?? ((outputTokens ?? this.pieces) >= maxTokens ? 'length' : 'stop'), usage }
  }

  /** What was held back because it might have become a word that ends the answer, or a prompt. */
  rest(): string {
    const { held } = this
    this.held = ''
    return held
  }

  /** What a text so far says beyond the one before it. A last character that is not complete yet stands there as U+FFFD. */
  private beyond(text: string): string {
    const complete = text.replace(/\ufffd+$/u, '')
    if (!complete.startsWith(this.seen)) {
      // Fewer characters than before: the end was not settled. Nothing is taken back that was given out.
      if (this.seen.startsWith(complete)) return ''
      throw failed('it changes text that it has already written')
    }
    const fresh = complete.slice(this.seen.length)
    this.seen = complete
    return fresh
  }

  private settle(text: string): string {
    // Behind a word that ends the answer nothing counts.
    if (this.stopped) return ''
    if (this.echo !== '') {
      if (text.length < this.echo.length && this.echo.startsWith(text)) return this.hold(text, text.length)
      const answer = text.startsWith(this.echo) ? text.slice(this.echo.length) : text
      this.echo = ''
      return this.settle(answer)
    }
    const cut = this.stops.map((stop) => text.indexOf(stop)).filter((at) => at !== -1)
    this.stopped = cut.length > 0
    if (this.stopped) return this.hold(text, 0).slice(0, Math.min(...cut))
    const open = Math.max(0, ...this.stops.map((stop) => overlap(text, stop)))
    return this.hold(text, open)
  }

  private hold(text: string, length: number): string {
    this.held = text.slice(text.length - length)
    return text.slice(0, text.length - length)
  }
}

/** How much of the end of the text is the beginning of the word. */
function overlap(text: string, word: string): number {
  for (let length = Math.min(word.length - 1, text.length); length > 0; length--)
    if (text.endsWith(word.slice(0, length))) return length
  return 0
}

function failed(why: string): ClawmeshError {
  return new ClawmeshError('MODEL_FAILED', `The model server's answer cannot be used: ${why}.`, {
    hint: 'Look at the log of the server, and ask again.',
  })
}
