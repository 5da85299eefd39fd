/** One pass over a text that says where something may hide: long unbroken runs, and tokens with digits or an at sign. */

export type Run = readonly [start: number, end: number]

export interface Runs {
  /** Unbroken runs of the alphabets of Base64 and its kin, at least 12 long. */
  readonly blobs: readonly Run[]
  /** Stretches around tokens that could be an identifier, with their surroundings, in order and apart. */
  readonly dense: readonly Run[]
}

const blobFrom = 12
/** A token so long is no word, even without a digit. */
const longFrom = 40
const margin = 48

const space = 1
const alphabet = 2
const digit = 4
const at = 8

const kinds = new Uint8Array(65536)
for (const character of ' \t\r\n') kinds[character.charCodeAt(0)] = space
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/_-')
  kinds[character.charCodeAt(0)] = alphabet
for (const character of '0123456789') kinds[character.charCodeAt(0)] = alphabet | digit
kinds['@'.charCodeAt(0)] = at

export function findRuns(text: string): Runs {
  const { length } = text
  const blobs: Run[] = []
  const dense: [number, number][] = []
  let token = 0
  let digits = 0
  let hasAt = false
  let run = 0
  for (let index = 0; index <= length; index += 1) {
    const code = index < length ? text.charCodeAt(index) : 32
    const kind = kinds[code] as number
    if ((kind & alphabet) === 0) {
      if (index - run >= blobFrom) {
        let end = index
        while (end < length && end < index + 6 && text.charCodeAt(end) === 61) end += 1
        blobs.push([run, end])
      }
      run = index + 1
    }
    if (kind === space) {
      if (digits >= 2 || hasAt || index - token >= (digits > 0 ? blobFrom : longFrom))
        mark(dense, token - margin, Math.min(length, index + margin))
      token = index + 1
      digits = 0
      hasAt = false
    } else if (kind === at) hasAt = true
    else if ((kind & digit) !== 0) digits += 1
  }
  return { blobs, dense }
}

function mark(dense: [number, number][], start: number, end: number): void {
  const last = dense.at(-1)
  if (last && start <= last[1]) last[1] = end
  else dense.push([Math.max(0, start), end])
}
