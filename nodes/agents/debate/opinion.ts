/** How a voter that holds no conversation is moved by what it hears. Pure. */
import { agree, tally, type Vote } from './tally.js'

/** One look at a question says nothing of how sure it is. */
const oneLook = 0.5

/**
 * Of a fresh sample, the voter's last vote and what it hears, the answer with the most confidence behind it; its share is the new confidence. Where two are
 * level the fresh sample stands.
 */
export function opinionOf(
  sample: { answer: string; reason: string },
  own: Vote | undefined,
  heard: readonly Vote[],
): Pick<Vote, 'answer' | 'confidence' | 'reason'> {
  const fresh: Vote = { voter: '', confidence: oneLook, ...sample }
  const known = [fresh, ...(own ? [own] : []), ...heard]
  if (known.length === 1) return { answer: fresh.answer, confidence: oneLook, reason: fresh.reason }
  const { answer = fresh.answer, weight, total } = tally(known, true)
  const source = known.find((vote) => agree([vote, { ...vote, answer }])) ?? fresh
  return { answer, confidence: total > 0 ? weight / total : oneLook, reason: source.reason }
}
