import { readText } from './text.js'

const mostCharacters = 65_536
const mostMatches = 500

export function readFile({ path }: { path: string }) {
  const text = readText(path)
  const shown = text.slice(0, mostCharacters)
  const truncated = shown.length < text.length
  return {
    text: shown,
    truncated,
    summary: `${linesOf(text).length} lines${truncated ? `, the first ${mostCharacters} characters shown` : ''}`,
  }
}

export function countLines({ path }: { path: string }) {
  const lines = linesOf(readText(path)).length
  return { lines, summary: `${lines} ${lines === 1 ? 'line' : 'lines'}` }
}

export function countWords({ path }: { path: string }) {
  const words = readText(path).split(/\s+/).filter(Boolean).length
  return { words, summary: `${words} ${words === 1 ? 'word' : 'words'}` }
}

export function firstLines({ path, count }: { path: string; count: number }) {
  const lines = linesOf(readText(path)).slice(0, count)
  return { lines, summary: lines.join('\n') }
}

export function searchText({ path, text }: { path: string; text: string }) {
  const found = linesOf(readText(path)).flatMap((line, index) =>
    line.includes(text) ? [{ line: index + 1, text: line }] : [],
  )
  return {
    matches: found.slice(0, mostMatches),
    total: found.length,
    summary: found.length === 0 ? 'no line' : `${found.length} ${found.length === 1 ? 'line' : 'lines'}`,
  }
}

/** A line break ends a line; what comes after the last one is a line too, unless it is empty. */
export function linesOf(text: string): string[] {
  const lines = text.split(/\r?\n/)
  if (lines.at(-1) === '') lines.pop()
  return lines
}
