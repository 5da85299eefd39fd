/**
 * A part of a request in words that the model that ships reads right, and its call as the person meant it. Pure.
 *
 * 1. Its alphabet is English: a name of a file with other letters is told by another name, which the call gives back. More capable models lose nothing by it.
 * 2. "search for x in y" it takes for a search for "for".
 */
import type { ToolCall } from '../../../inference/tool.js'

export interface Wording {
  words: string
  /** With the names as the person wrote them. */
  meant(call: ToolCall): ToolCall
}

/** In quotation marks or not: some letter is not English, and it ends as the name of a file does. */
const foreignName =
  /(["'`])(?=[^"'`]*[^\p{ASCII}])[^"'`]*\.([a-z]\w{0,4})\1|(?=[^\s"'`,;:?!]*[^\p{ASCII}])[^\s"'`,;:?!]+\.([a-z]\w{0,4})(?![\w/])/giu

export function worded(said: string): Wording {
  const names = new Map<string, string>()
  const words = said
    .replace(foreignName, (text, mark: string | undefined, quoted?: string, plain?: string) => {
      const name = mark === undefined ? text : text.slice(1, -1)
      const known = [...names].find(([, known]) => known === name)?.[0]
      if (known !== undefined) return known
      const alias = freeName(said, names.size + 1, quoted ?? plain ?? 'txt')
      names.set(alias, name)
      return alias
    })
    .replace(/\bsearch for\b/gi, 'look for')
  const back = (value: unknown): unknown =>
    typeof value === 'string' ? [...names].reduce((text, [alias, name]) => text.replaceAll(alias, name), value) : value
  return {
    words,
    meant: ({ name, arguments: args }) => ({
      name,
      arguments: Object.fromEntries(Object.entries(args).map(([key, value]) => [key, back(value)])),
    }),
  }
}

/** A name that nobody said. */
function freeName(said: string, number: number, ending: string): string {
  const name = `file${number}.${ending}`
  return said.includes(`file${number}`) ? freeName(said, number + 10, ending) : name
}
