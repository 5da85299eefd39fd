/** What a line break may split: a number, a key, an address; and what it surely does not. Each is asked of a token, from `start` up to `end`. */

/** A half of a key without a digit is at least so long. */
const halfFrom = 12
/** From a small letter to a capital: fewer are in names of code. */
const turnsFrom = 3

/** Longer than the two letters of a country, with a small letter and no digit: no part of a number. */
export function isWord(text: string, start: number, end: number): boolean {
  let hasSmall = false
  for (let at = start; at < end; at += 1) {
    const unit = text.charCodeAt(at)
    if (unit >= 48 && unit <= 57) return false
    hasSmall ||= unit >= 97 && unit <= 122
  }
  return hasSmall && end - start > 2
}

/** The end of a sentence, or of a part of it: what it ends does not go on behind the break. */
export const isPunctuation = (text: string, at: number): boolean => '.,;:!?)'.includes(text[at] ?? ' ')

/**
 * Is what a line ends with surely no part of what begins the next one? A word is none of a number. A sentence that has ended is none of anything; a full stop may be
 * the end of a key's mark, but then the rest comes at once.
 */
export function isApart(text: string, start: number, end: number, isNumber: boolean, tokensBefore: number): boolean {
  const last = text.charCodeAt(end - 1)
  const hasEnded = last === 33 || last === 63 || (last === 46 && tokensBefore > 0)
  return (isNumber || hasEnded) && isWord(text, start, end)
}

/** As long as a half of a key, without a digit, and no word either: in capitals alone, or in both cases by turns. */
export function mayBeHalfOfKey(text: string, start: number, end: number): boolean {
  if (end - start < halfFrom) return false
  let [hasSmall, hasCapital] = [false, false]
  let turns = 0
  for (let at = start; at < end; at += 1) {
    const unit = text.charCodeAt(at)
    const isCapital = unit >= 65 && unit <= 90
    if (isCapital && text.charCodeAt(at - 1) >= 97) turns += 1
    hasCapital ||= isCapital
    hasSmall ||= unit >= 97 && unit <= 122
  }
  return hasCapital && (!hasSmall || turns >= turnsFrom)
}
