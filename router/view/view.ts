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
  /** Made by a lossy step, which may join what does not belong together: only findings that prove themselves count here. */
  readonly lossy: boolean
  /** What of the original stands at this stretch of the view. */
  origin(start: number, end: number): Span
  /** The steps that led to this place, for people: `['base64', 'escapes']`. Empty for the text as it stands. */
  stepsAt(at: number): readonly string[]
}

export function plainView(text: string): View {
  return { text, lossy: false, origin: (start, end) => ({ start, end }), stepsAt: () => [] }
}

const noStretches = new Int32Array(0)
const firstStretches = 48

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
  #map = noStretches

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
      lossy: lossy || parent.lossy,
      stepsAt: (at) => [...parent.stepsAt(count === 0 ? 0 : read(map, stretchAt(map, count, at), 1)), step],
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
      const larger = new Int32Array(Math.max(firstStretches, at * 2))
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

export interface Rewriting {
  readonly step: string
  /** What of the text around a match is kept, in units: of a long text only what was changed, and its surroundings, is worth reading again. */
  readonly margin: number
  readonly lossy?: boolean
  /** Where matches may begin, in order and apart; anywhere unless said. */
  readonly within?: readonly (readonly [start: number, end: number])[]
}

/** A view of the places that match, each match replaced; undefined where nothing matches, or every match stands for itself. */
export function rewrite(
  parent: View,
  pattern: RegExp,
  { step, margin, lossy = false, within = [[0, parent.text.length]] }: Rewriting,
  by: (match: RegExpExecArray) => string | undefined,
): View | undefined {
  const { text } = parent
  const writer = new ViewWriter(parent)
  let done = -1
  const put = (replacement: string, index: number, end: number): void => {
    if (done < 0) writer.copy(Math.max(0, index - margin), index)
    else if (index - done <= 2 * margin) writer.copy(done, index)
    else {
      writer.copy(done, done + margin)
      writer.replace('\n', done + margin, done + margin)
      writer.copy(index - margin, index)
    }
    writer.replace(replacement, index, end)
    done = end
  }
  for (const [from, to] of within) {
    pattern.lastIndex = Math.max(from, done)
    for (let match = pattern.exec(text); match && match.index < to; match = pattern.exec(text)) {
      const end = match.index + match[0].length
      if (end === match.index) pattern.lastIndex = end + 1
      const replacement = by(match)
      if (replacement !== undefined) put(replacement, match.index, end)
    }
  }
  if (done < 0) return undefined
  writer.copy(done, Math.min(text.length, done + margin))
  return writer.end(step, lossy)
}

/** Several views as one, a line apart. A view costs some forty searches however short it is. */
export function together(views: readonly View[]): View | undefined {
  const [first, second] = views
  if (!first || !second) return first
  const starts: number[] = []
  let length = 0
  for (const { text } of views) {
    starts.push(length)
    length += text.length + 1
  }
  const part = (at: number): [View, number] => {
    const index = lastAtMost(starts, at)
    return [views[index] ?? first, starts[index] ?? 0]
  }
  return {
    text: views.map(({ text }) => text).join('\n'),
    lossy: views.some(({ lossy }) => lossy),
    origin: (start, end) => {
      const [view, from] = part(start)
      return view.origin(start - from, Math.min(view.text.length, end - from))
    },
    stepsAt: (at) => {
      const [view, from] = part(at)
      return view.stepsAt(at - from)
    },
  }
}

/** The index of the last element that is not above the value; 0 if all are. */
export function lastAtMost(sorted: readonly number[], value: number): number {
  let low = 0
  let high = sorted.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((sorted[middle] ?? 0) <= value) low = middle
    else high = middle - 1
  }
  return low
}
