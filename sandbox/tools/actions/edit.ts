/** Reading a part of a file, and writing one. */
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { applyPatch, parseDiff } from './diff.js'
import { ActionError } from './error.js'
import { readText } from './text.js'

const mostCharacters = 65_536

/** As they stand in the file, each with what ends it. `next` is the first line that was not given; null at the end of the file. */
export function readLines({
  path,
  from = 1,
  count = 500,
}: {
  path: string
  from?: number | undefined
  count?: number | undefined
}) {
  const lines = readText(path).match(/[^\n]*\n|[^\n]+$/g) ?? []
  const some: string[] = []
  let characters = 0
  for (const line of lines.slice(from - 1, from - 1 + count)) {
    if (some.length > 0 && characters + line.length > mostCharacters) break
    some.push(line)
    characters += line.length
  }
  const text = some.join('')
  const truncated = text.length > mostCharacters
  const next = from + some.length
  return {
    from,
    lines: lines.length,
    next: next > lines.length ? null : next,
    text: truncated ? text.slice(0, mostCharacters) : text,
    /** Of a single line that is too long. */
    truncated,
    summary:
      some.length === 0
        ? `no line ${from}: it has ${lines.length}`
        : `lines ${from} to ${next - 1} of ${lines.length}${truncated ? ', cut' : ''}`,
  }
}

/** Exactly this text, in place of what was there. */
export function writeFile({ path, text }: { path: string; text: string }) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  const bytes = Buffer.byteLength(text)
  return { bytes, summary: `${bytes} bytes written to ${path}` }
}

/** All files of the diff, or none: each is worked out before the first is written. */
export function patchFiles({ diff }: { diff: string }) {
  const parts = parseDiff(diff)
  const known = new Map<string, string>()
  for (const { before, after } of parts) {
    const path = after ?? before ?? ''
    const identity = identityOf(resolve(path))
    const other = known.get(identity)
    // Each part is worked out from the file as it was, so the second would undo the first.
    if (other !== undefined) throw new ActionError(`${other} and ${path} are the same file, and the diff names both.`)
    known.set(identity, path)
  }
  const ends = parts.map((part) => ({
    ...part,
    text: applyPatch(part, part.before === undefined ? undefined : textAt(part.before)),
  }))
  for (const { before, after } of ends)
    if (before === undefined && after !== undefined && textIfThere(after) !== undefined)
      throw new ActionError(`${after} is there already, and the diff makes it.`)
  for (const { before, after, text } of ends) {
    if (after === undefined) rmSync(before ?? '')
    else {
      mkdirSync(dirname(after), { recursive: true })
      writeFileSync(after, text)
    }
  }
  const files = ends.map(({ before, after }) => after ?? before ?? '')
  return { files, summary: `${files.join(', ')} changed` }
}

/** The same for two paths of one file, by whatever links; of a file that is not there, by the folder that it goes into. */
function identityOf(path: string): string {
  const there = statSync(path, { bigint: true, throwIfNoEntry: false })
  return there ? `${there.dev}:${there.ino}` : join(identityOf(dirname(path)), basename(path))
}

/** Byte for byte: a byte order mark is a part of the first line. */
function textAt(path: string): string {
  readText(path)
  return readFileSync(path, 'utf8')
}

/** An empty file that was made for this very action, so that it could be written, is not there yet. */
function textIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8') || undefined
  } catch {
    return undefined
  }
}
