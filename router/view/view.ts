/**
 * One way of reading a text. A view has a text of its own and knows, for each stretch of it, which stretch of the original says that.
 *
 * Views are made of views: canonical text, then what its Base64 decodes to, then what the JSON in there spells. A hit in the last is a span of the first.
 */

/** Half open, in UTF-16 units of the original. */
export interface Span {
  readonly start: number
  readonly end: number
}

export interface View {
  readonly text: string
  /** The steps that led here, for people: `['base64', 'escapes']`. Empty for the text as it stands. */
  readonly steps: readonly string[]
  /** Made by a lossy step, which may join what does not belong together: only findings that prove themselves count here. */
  readonly lossy: boolean
  /** What of the original stands at this stretch of the view. */
  origin(start: number, end: number): Span
}

export function plainView(text: string): View {
  return { text, steps: [], lossy: false, origin: (start, end) => ({ start, end }) }
}

/**
 * Writes the text of a view made from another, stretch by stretch. Copied stretches map unit by unit; what stands for something else maps to all of it.
 * Holds 12 bytes for each stretch, not for each character.
 */
export class ViewWriter {
  readonly #parent: View
  readonly #parts: string[] = []
  #length = 0
  #count = 0
  /** Three numbers a stretch: where it begins here, where in the parent, and where it ends there, or -1 for a copy. */
  #map = new Int32Array(48)

  constructor(parent: View) {
    this.#parent = parent
  }

  get length(): number {
    return this.#length
  }

  copy(start: number, end: number): void {
    if (end <= start) return
    this.#put(start, -1)
    this.#parts.push(this.#parent.text.slice(start, end))
    this.#length += end - start
  }

  replace(text: string, start: number, end: number): void {
    if (text === '') return
    this.#put(start, end)
    this.#parts.push(text)
    this.#length += text.length
  }

  end(step: string, lossy = false): View {
    const parent = this.#parent
    const map = this.#map
    const count = this.#count
    return {
      text: this.#parts.join(''),
      steps: [...parent.steps, step],
      lossy: lossy || parent.lossy,
      origin: (start, end) => {
        if (count === 0) return parent.origin(0, 0)
        const first = stretchAt(map, count, start)
        const last = stretchAt(map, count, Math.max(start, end - 1))
        const from = read(map, first, 1) + (read(map, first, 2) === -1 ? start - read(map, first, 0) : 0)
        const to = read(map, last, 2) === -1 ? read(map, last, 1) + end - read(map, last, 0) : read(map, last, 2)
        return parent.origin(from, to)
      },
    }
  }

  #put(from: number, to: number): void {
    const at = this.#count * 3
    if (at === this.#map.length) {
      const larger = new Int32Array(at * 2)
      larger.set(this.#map)
      this.#map = larger
    }
    this.#map[at] = this.#length
    this.#map[at + 1] = from
    this.#map[at + 2] = to
    this.#count += 1
  }
}

const read = (map: Int32Array, stretch: number, field: number): number => map[stretch * 3 + field] ?? 0

/** The last stretch that begins at or before it. */
function stretchAt(map: Int32Array, count: number, at: number): number {
  let low = 0
  let high = count - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (read(map, middle, 0) <= at) low = middle
    else high = middle - 1
  }
  return low
}

/** A view in which each match is replaced; undefined where nothing matches, or every match stands for itself. */
export function rewrite(
  parent: View,
  pattern: RegExp,
  step: string,
  by: (match: RegExpExecArray) => string | undefined,
  lossy = false,
): View | undefined {
  const { text } = parent
  const writer = new ViewWriter(parent)
  let done = 0
  let changed = false
  pattern.lastIndex = 0
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const end = match.index + match[0].length
    if (end === match.index) pattern.lastIndex = end + 1
    const replacement = by(match)
    if (replacement === undefined) continue
    writer.copy(done, match.index)
    writer.replace(replacement, match.index, end)
    done = end
    changed = true
  }
  if (!changed) return undefined
  writer.copy(done, text.length)
  return writer.end(step, lossy)
}
