import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export function listFiles({ path = '.' }: { path?: string | undefined }) {
  const entries = readdirSync(path, { withFileTypes: true })
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .map((entry) => {
      const kind = entry.isDirectory() ? 'folder' : entry.isFile() ? 'file' : entry.isSymbolicLink() ? 'link' : 'other'
      return kind === 'file'
        ? { name: entry.name, kind, bytes: statSync(join(path, entry.name)).size }
        : { name: entry.name, kind }
    })
  return {
    entries,
    summary:
      entries.length === 0
        ? 'empty'
        : entries.map(({ name, kind }) => (kind === 'folder' ? `${name}/` : name)).join(', '),
  }
}

export function fileSize({ path }: { path: string }) {
  const bytes = statSync(path).size
  return { bytes, summary: `${bytes} bytes` }
}

/** Replaces what the file held. */
export function writeNote({ path, text }: { path: string; text: string }) {
  const note = text.endsWith('\n') ? text : `${text}\n`
  writeFileSync(path, note)
  return { bytes: Buffer.byteLength(note), summary: `${Buffer.byteLength(note)} bytes written to ${path}` }
}
