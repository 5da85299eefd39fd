/**
 * Every way in which a text is read: as it stands, what it encodes, how something could be hidden in it, and that again of each.
 *
 * 1. Work is bounded: the views together are at most `spread` times the text, and nothing is decoded deeper than `deepest` steps. What is then
 *    left unread is said to be, and never taken for harmless.
 * 2. A guess is made of what stands or was decoded, not of another guess; what a guess encodes is decoded.
 */
import { canonical } from './canonical.js'
import { decodedBlobs, spelledCodes, unescaped, unquoted } from './decode.js'
import { type Facts, factsOf, type Run } from './facts.js'
import { guessed } from './guess.js'
import { plainView, type Span, together, type View } from './view.js'

const spread = 6
const allowance = 256 * 1024
const deepest = 4

export interface Unread {
  readonly span: Span
  /** `opaque`: looks like an encoding and is none that is known. `unread`: there was more than may be read. */
  readonly kind: 'opaque' | 'unread'
}

/** For a reader that wants no guesses. */
export const nothingSeen: Seen = {
  isEnough: false,
  wordedDigits: [],
  spokenSigns: false,
  shortSecrets: false,
  mirrored: [],
  rotated: [],
}

/** What a reader saw in a view that makes further views of it worth while. */
export interface Seen {
  /** Whatever else there is would change nothing. */
  readonly isEnough: boolean
  /** Where words for digits stand that could be a part of something. */
  readonly wordedDigits: readonly Run[]
  readonly spokenSigns: boolean
  /** A word that announces a short secret stands in it, however it is turned. */
  readonly shortSecrets: boolean
  /** Where it could hold something back to front, or rotated; undefined: wherever something could be hidden at all. */
  readonly mirrored: readonly Run[] | undefined
  readonly rotated: readonly Run[] | undefined
}

/** @param read is called with each view, and what can be in it at all */
export function readViews(text: string, read: (view: View, facts: Facts) => Seen): Unread[] {
  const unread: Unread[] = []
  const queue: { view: View; depth: number }[] = [{ view: canonical(plainView(text)), depth: 0 }]
  let budget = text.length * spread + allowance
  for (const { view, depth } of queue) {
    budget -= view.text.length
    if (budget < 0) {
      unread.push({ kind: 'unread', span: { start: 0, end: text.length } })
      break
    }
    const facts = factsOf(view.text)
    const seen = read(view, facts)
    if (seen.isEnough) break
    const inBlobs = decodedBlobs(view, facts.blobs, budget)
    if (depth === deepest) {
      if (inBlobs.view) unread.push({ kind: 'unread', span: inBlobs.view.origin(0, inBlobs.view.text.length) })
      continue
    }
    if (!view.lossy) {
      for (const { closed, start, end } of inBlobs.closed) unread.push({ kind: closed, span: view.origin(start, end) })
      const guess = guessed(view, facts, seen)
      if (guess) queue.push({ view: canonical(guess), depth: depth + 1 })
    }
    const decoded = [
      inBlobs.view,
      facts.mayEscape ? unescaped(view) : undefined,
      facts.mayQuotePrintable ? unquoted(view) : undefined,
      facts.maySpell ? spelledCodes(view) : undefined,
    ]
    const decode = together(decoded.filter((each) => each !== undefined))
    if (decode) queue.push({ view: canonical(decode), depth: depth + 1 })
  }
  return unread
}
