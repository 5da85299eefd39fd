/** Texts of 4 KiB whose times are taken. */
import { heldout } from '../../test/router/data/heldout.js'
import { prompts } from '../../test/router/data/prompts.js'
import { samples } from '../../test/router/data/template.js'
import { Values } from '../../test/router/data/values.js'

export const seed = 20261122

/** Prose without anything to find, with a held-out text here and there, with values in most of its lines, and held-out texts alone, which nobody would write. */
export function kilobytes(): Record<string, string[]> {
  const values = new Values(seed)
  const lines = samples(heldout, 12, seed + 1).map(({ text }) => text)
  const prose = prompts(3, seed + 1)
    .filter(({ stays }) => !stays)
    .map(({ text }) => text)
  const plain = prose.filter((text) => !/[\d@/]/.test(text))
  const filled = (line: () => string): string[] =>
    Array.from({ length: 60 }, () => {
      let text = ''
      while (text.length < 4096) text += `${line()}\n`
      return text.slice(0, 4096)
    })
  return {
    'plain prose': filled(() => values.pick(plain)),
    'prose, some finds': filled(() => (values.below(8) === 0 ? values.pick(lines) : values.pick(plain))),
    'prose and finds': filled(() => (values.below(6) === 0 ? values.pick(lines) : values.pick(prose))),
    'finds alone': filled(() => values.pick(lines)),
  }
}

export const madeUp = (values: Values): string =>
  Array.from({ length: 8 }, () => 'abcdefghijklmnopqrstuvwxyz'[values.below(26)]).join('')

/** Every twentieth word is one that nobody has seen, so that no place of it looks as one of another text does. */
export const neverMet = (text: string, values: Values): string => {
  let count = 0
  return text.replace(/[a-z]{3,}/g, (word) => {
    count += 1
    return count % 20 === 0 ? madeUp(values) : word
  })
}
