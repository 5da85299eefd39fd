/**
 * Finds all of many words in one pass (Aho-Corasick): what no word announces is not looked at any closer. Letters match in either case.
 *
 *     const gate = buildGate([{ word: 'ghp_', bound: 'left' }, { word: 'password', bound: 'both' }])
 *     gate.scan('my password', (index, start, end) => …)     // index 1, 3, 11
 */

export interface GateWord {
  readonly word: string
  /** Where neither a letter nor a digit may stand beside it. */
  readonly bound: 'left' | 'both' | 'none'
}

export interface Gate {
  /** Calls for each occurrence, in the order of their ends. Linear in the text. */
  scan(text: string, hit: (index: number, start: number, end: number) => void): void
}

/** Each character that occurs in a word has a class; all others share class 0. */
export function buildGate(words: readonly GateWord[]): Gate {
  const classes = new Uint8Array(128)
  let width = 1
  for (const { word } of words) {
    for (const character of word.toLowerCase()) {
      const code = character.charCodeAt(0)
      if (code > 127) throw new RangeError(`The gate takes ASCII words; "${word}" is none.`)
      if (classes[code] !== 0) continue
      classes[code] = width
      if (character !== character.toUpperCase()) classes[character.toUpperCase().charCodeAt(0)] = width
      width += 1
    }
  }
  const { next, ends } = buildStates(words, classes, width)
  // A step of the table is twice the number of the place where the next state's row begins, and one more where words end.
  const table = Int32Array.from(next, (state) => 2 * state * width + ((ends[state]?.length ?? 0) > 0 ? 1 : 0))
  const classOf = new Uint8Array(65536)
  classOf.set(classes)
  // The words that end in a state, one behind the other: from `first` of its row to that of the next.
  const first = new Int32Array(ends.length + 1)
  for (const [state, ended] of ends.entries()) first[state + 1] = (first[state] as number) + ended.length
  const ended = Int32Array.from(ends.flat())
  const lengths = Int32Array.from(words, ({ word }) => word.length)
  const isBoundBefore = Uint8Array.from(words, ({ bound }) => (bound === 'none' ? 0 : 1))
  const isBoundBehind = Uint8Array.from(words, ({ bound }) => (bound === 'both' ? 1 : 0))
  return {
    scan: (text, hit) => {
      const { length } = text
      let row = 0
      for (let at = 0; at < length; at += 1) {
        const step = table[row + (classOf[text.charCodeAt(at)] as number)] as number
        row = step >> 1
        if ((step & 1) === 0) continue
        // Most ends are in the middle of a longer word: what stands behind says so at once.
        const goesOn = isWordAt(text, at + 1) ? 1 : 0
        const state = row / width
        const last = first[state + 1] as number
        for (let place = first[state] as number; place < last; place += 1) {
          const index = ended[place] as number
          if ((goesOn & (isBoundBehind[index] as number)) === 1) continue
          const start = at + 1 - (lengths[index] as number)
          if (isBoundBefore[index] === 1 && isWordAt(text, start - 1)) continue
          hit(index, start, at + 1)
        }
      }
    },
  }
}

function buildStates(words: readonly GateWord[], classes: Uint8Array, width: number) {
  const most = 1 + words.reduce((sum, { word }) => sum + word.length, 0)
  const next = new Int32Array(most * width)
  const ends: number[][] = [[]]
  for (const [index, { word }] of words.entries()) {
    let state = 0
    for (const character of word.toLowerCase()) {
      const edge = state * width + (classes[character.charCodeAt(0)] ?? 0)
      if (next[edge] === 0) {
        next[edge] = ends.length
        ends.push([])
      }
      state = next[edge] ?? 0
    }
    ends[state]?.push(index)
  }
  // Breadth first: where a state has no edge it takes that of its longest proper suffix.
  const suffix = new Int32Array(ends.length)
  const queue = [0]
  for (const state of queue) {
    for (let letter = 0; letter < width; letter += 1) {
      const edge = state * width + letter
      const child = next[edge] ?? 0
      const fallback = state === 0 ? 0 : (next[(suffix[state] ?? 0) * width + letter] ?? 0)
      if (child === 0) {
        next[edge] = fallback
        continue
      }
      suffix[child] = fallback
      ends[child]?.push(...(ends[fallback] ?? []))
      queue.push(child)
    }
  }
  return { next: next.slice(0, ends.length * width), ends }
}

/** Is there a letter or a digit? */
export function isWordAt(text: string, at: number): boolean {
  // Outside the text there is none, and asking there would be slow.
  if (at < 0 || at >= text.length) return false
  const code = text.charCodeAt(at)
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 48 && code <= 57) || code > 127
}
