/**
 * Every way in which a text is read: as it stands, then what it encodes and how it could be hidden, and that again of each.
 *
 * 1. Work is bounded: the views together are at most `spread` times the text, and nothing is decoded deeper than `deepest` steps. What is then
 *    left unread is said to be, and never taken for harmless.
 * 2. The same text is read once, by whatever steps it was reached.
 */
import { canonical } from './canonical.js'
import { decodedBlobs, spelledCodes, unescaped, unquoted } from './decode.js'
import { mirrored, numbered, rotated, unbroken, unquotedParts, unspaced, unspoken } from './guess.js'
import { findRuns } from './runs.js'
import { plainView, type Span, type View } from './view.js'

const spread = 6
const allowance = 256 * 1024
const deepest = 4
const mostGuesses = 2
const guesses = new Set(['spaced', 'spoken', 'parts', 'words', 'lines', 'mirrored', 'rot13'])

export interface Unread {
  readonly span: Span
  /** `opaque`: looks like an encoding and is none that is known. `unread`: there was more than may be read. */
  readonly kind: 'opaque' | 'unread'
}

/** @param read is called with each view; it says whether the view holds enough words for digits that they are worth reading as digits */
export function readViews(text: string, read: (view: View) => { wordedDigits: boolean }): Unread[] {
  const unread: Unread[] = []
  const seen = new Set<string>()
  const queue: View[] = [canonical(plainView(text))]
  let budget = text.length * spread + allowance
  for (const view of queue) {
    if (seen.has(view.text)) continue
    seen.add(view.text)
    budget -= view.text.length
    if (budget < 0) {
      unread.push({ kind: 'unread', span: view.origin(0, view.text.length) })
      break
    }
    const { wordedDigits } = read(view)
    const steps = view.steps.filter((step) => step !== 'canonical')
    const { blobs, dense } = findRuns(view.text)
    const isDeepest = steps.length >= deepest
    const decoded = decodedBlobs(view, blobs, Math.max(0, budget))
    if (!view.lossy)
      unread.push(
        ...decoded.opaque.map(({ start, end }) => ({ kind: 'opaque' as const, span: view.origin(start, end) })),
      )
    if (isDeepest) {
      if (decoded.view) unread.push({ kind: 'unread', span: decoded.view.origin(0, decoded.view.text.length) })
      continue
    }
    const next = [decoded.view, unescaped(view), unquoted(view), spelledCodes(view)]
    if (steps.filter((step) => guesses.has(step)).length < mostGuesses) {
      next.push(unspaced(view), unspoken(view), unquotedParts(view), unbroken(view, dense))
      if (wordedDigits) next.push(numbered(view))
      if (!steps.includes('mirrored')) next.push(mirrored(view, dense))
      if (!steps.includes('rot13')) next.push(rotated(view, dense))
    }
    for (const each of next) if (each) queue.push(canonical(each))
  }
  return unread
}
