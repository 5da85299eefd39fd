/** Looking through a folder and all below it. Links are not followed. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ActionError } from './error.js'
import { linesOf } from './lines.js'
import { readText } from './text.js'

const mostFiles = 1000
const mostMatches = 500
const longestLine = 400

/** Files below a folder, by a pattern of names: `*.csv` any folder's, `src/**\/*.ts` by their path. */
export function findFiles({ path = '.', name }: { path?: string | undefined; name?: string | undefined }) {
  const { files, more } = filesBelow(path, name)
  const found = files.map((file) => ({ path: file, bytes: statSync(file).size }))
  return {
    files: found,
    more,
    text: found.map(({ path, bytes }) => `${path} (${bytes} bytes)`).join('\n') || 'no file',
    summary: `${found.length} ${found.length === 1 ? 'file' : 'files'}${more ? ', the first of more' : ''}`,
  }
}

export function searchFiles(given: {
  path?: string | undefined
  name?: string | undefined
  text: string
  regular_expression?: boolean | undefined
}) {
  const { path = '.', name, text, regular_expression: isPattern = false } = given
  const fits = isPattern ? testOf(text) : (line: string) => line.includes(text)
  const { files, more } = filesBelow(path, name)
  const matches: { path: string; line: number; text: string }[] = []
  let total = 0
  for (const file of files)
    for (const [index, line] of linesIn(file).entries()) {
      if (!fits(line)) continue
      total += 1
      if (matches.length < mostMatches) matches.push({ path: file, line: index + 1, text: line.slice(0, longestLine) })
    }
  return {
    matches,
    total,
    more,
    text: matches.map(({ path, line, text }) => `${path}:${line}: ${text}`).join('\n') || 'no line',
    summary: `${total} ${total === 1 ? 'line' : 'lines'} in ${files.length} ${files.length === 1 ? 'file' : 'files'}${more ? ', of more' : ''}`,
  }
}

function testOf(pattern: string): (line: string) => boolean {
  try {
    const expression = new RegExp(pattern, 'u')
    return (line) => expression.test(line)
  } catch (error) {
    throw new ActionError(error instanceof Error ? `${error.message}.` : 'The pattern cannot be read.')
  }
}

/** None of what is no text. */
function linesIn(file: string): string[] {
  try {
    return linesOf(readText(file))
  } catch (error) {
    if (error instanceof ActionError) return []
    throw error
  }
}

function filesBelow(path: string, name: string | undefined): { files: string[]; more: boolean } {
  if (statSync(path).isFile()) return { files: [path], more: false }
  const fits = name === undefined ? () => true : globTest(name)
  const files: string[] = []
  const folders = ['']
  for (let folder = folders.shift(); folder !== undefined; folder = folders.shift()) {
    const entries = readdirSync(join(path, folder), { withFileTypes: true })
    for (const entry of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
      const at = join(folder, entry.name)
      if (entry.isDirectory()) folders.push(at)
      if (!entry.isFile() || !fits(at)) continue
      if (files.length === mostFiles) return { files, more: true }
      files.push(join(path, at))
    }
  }
  return { files, more: false }
}

/** `*` stands for anything in a name, `?` for one character, `**` for folders. A pattern without a slash is about the name alone. */
export function globTest(glob: string): (path: string) => boolean {
  const source = glob.replace(/\*\*\/|\*\*|[*?]|[\\^$.|+()[\]{}]/g, (token) => {
    if (token === '**/') return '(?:.*/)?'
    if (token === '**') return '.*'
    if (token === '*') return '[^/]*'
    return token === '?' ? '[^/]' : `\\${token}`
  })
  const expression = new RegExp(`${glob.includes('/') ? '^' : '(?:^|/)'}${source}$`, 'su')
  return (path) => expression.test(path)
}
