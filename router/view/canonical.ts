import { fold } from './fold.js'
import { type View, ViewWriter } from './view.js'

const unusual = /[^\n\r\t\x20-\x7e]/

/**
 * The view that detectors read: every character in its plainest spelling, nothing invisible left in. Text that is plain already is returned as it is.
 * Linear in the text.
 */
export function canonical(view: View): View {
  const { text } = view
  if (!unusual.test(text)) return view
  const writer = new ViewWriter(view)
  let done = 0
  for (let at = 0; at < text.length; ) {
    const unit = text.charCodeAt(at)
    if ((unit >= 0x20 && unit < 0x7f) || unit === 10 || unit === 13 || unit === 9) {
      at += 1
      continue
    }
    const point = text.codePointAt(at) ?? unit
    const end = point === 0x1b ? endOfColour(text, at) : at + (point > 0xffff ? 2 : 1)
    writer.copy(done, at)
    writer.replace(point < 0x20 || point === 0x7f ? control(point) : fold(point), at, end)
    done = end
    at = end
  }
  writer.copy(done, text.length)
  return writer.end('canonical')
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal is told begins with one
const colour = /\u001b(?:\[[0-9;?]{0,32}[A-Za-z])?/y

/** Behind what a terminal takes for a colour, or a move. */
function endOfColour(text: string, at: number): number {
  colour.lastIndex = at
  return at + (colour.exec(text)?.[0].length ?? 1)
}

/** Tabs and form feeds separate; the rest is invisible. */
const control = (point: number): string => (point === 0x0b || point === 0x0c ? '\n' : '')
