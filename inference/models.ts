import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { installation } from '../mesh/installation.js'
import { ClawmeshError } from '../policies/errors.js'

/** A model folder whose every listed file was read once and had the size and SHA-256 that its manifest.json states. */
export interface OpenedModel {
  folder: string
  /** 'sha256:…' over name and digest of all files. */
  digest: string
  /** Of the files that were read. */
  paths: readonly string[]
  /** The very bytes that were checked: a file that changes on disk afterwards changes nothing. Throws MODEL_BROKEN. */
  bytes(path: string): Uint8Array
  /** A listed file as JSON. Throws MODEL_BROKEN. */
  json(path: string): unknown
}

interface Entry {
  path: string
  bytes: number
  sha256: string
}

/** The small model that comes with clawmesh. */
export const shippedModelFolder = join(installation, 'inference', 'shipped', 'model')

/** Reads and checks a model folder. Throws MODEL_BROKEN with the name of the file that is missing, truncated or altered. */
export async function openModel(folder: string): Promise<OpenedModel> {
  const entries = parseManifest(await read(folder, 'manifest.json'), folder)
  return openFiles(folder, entries, entries)
}

async function openFiles(folder: string, entries: readonly Entry[], wanted: readonly Entry[]): Promise<OpenedModel> {
  const files = new Map(
    await Promise.all(wanted.map(async (entry) => [entry.path, await verified(folder, entry)] as const)),
  )
  const bytes = (path: string): Uint8Array => {
    const found = files.get(path)
    if (!found) throw broken(folder, path, 'the manifest does not list it')
    return found
  }
  return {
    folder,
    digest: digestOf(entries),
    paths: wanted.map(({ path }) => path),
    bytes,
    json: (path) => parseJson(bytes(path), folder, path),
  }
}

/** What a folder says of itself: its digest and files by the manifest, and those of its files, checked, that are named. Throws MODEL_BROKEN. */
export async function describeModel(
  folder: string,
  ...named: string[]
): Promise<{ digest: string; files: readonly Pick<Entry, 'path' | 'bytes'>[]; model: OpenedModel }> {
  const files = parseManifest(await read(folder, 'manifest.json'), folder)
  const model = await openFiles(
    folder,
    files,
    files.filter(({ path }) => named.includes(path)),
  )
  return { digest: model.digest, files, model }
}

async function verified(folder: string, entry: Entry): Promise<Uint8Array> {
  const content = await read(folder, entry.path)
  if (content.length !== entry.bytes)
    throw broken(folder, entry.path, `it has ${content.length} bytes where the manifest says ${entry.bytes}`)
  const hash = createHash('sha256')
  for (let from = 0; from < content.length; from += pieceBytes) hash.update(content.subarray(from, from + pieceBytes))
  if (hash.digest('hex') !== entry.sha256) throw broken(folder, entry.path, 'its SHA-256 differs from the manifest')
  return content
}

async function read(folder: string, path: string): Promise<Uint8Array> {
  try {
    return await readWhole(join(folder, path))
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    throw broken(folder, path, missing ? 'it is missing' : 'it cannot be read', cause)
  }
}

/** In pieces: at once, no more than two gigabytes can be read. */
async function readWhole(path: string): Promise<Uint8Array> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const content = Buffer.allocUnsafeSlow(size)
    let filled = 0
    while (filled < size) {
      const { bytesRead } = await file.read(content, filled, Math.min(pieceBytes, size - filled))
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return content.subarray(0, filled)
  } finally {
    await file.close()
  }
}

const pieceBytes = 1 << 30

// Parsed by hand: this runs in the model's own process, where loading zod would be a third of the start.
function parseManifest(content: Uint8Array, folder: string): Entry[] {
  const manifest = parseJson(content, folder, 'manifest.json')
  const listed = isRecord(manifest) && Array.isArray(manifest.files) ? manifest.files : []
  if (listed.length === 0) throw broken(folder, 'manifest.json', 'it lists no files')
  return listed.map((entry: unknown) => {
    if (!isEntry(entry))
      throw broken(folder, 'manifest.json', 'an entry is not {path, bytes, sha256} inside the folder')
    return entry
  })
}

function isEntry(value: unknown): value is Entry {
  if (!isRecord(value)) return false
  const { path, bytes, sha256 } = value
  const inside = typeof path === 'string' && /^[\w.-]+(\/[\w.-]+)*$/.test(path) && !path.split('/').includes('..')
  return inside && Number.isSafeInteger(bytes) && typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256)
}

function digestOf(entries: readonly Entry[]): string {
  const lines = entries.map(({ path, sha256 }) => `${sha256}  ${path}\n`).sort()
  return `sha256:${createHash('sha256').update(lines.join('')).digest('hex')}`
}

function parseJson(content: Uint8Array, folder: string, path: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content))
  } catch (cause) {
    throw broken(folder, path, 'it is not JSON', cause)
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function broken(folder: string, path: string, why: string, cause?: unknown): ClawmeshError {
  return new ClawmeshError('MODEL_BROKEN', `The model file ${join(folder, path)} cannot be used: ${why}.`, {
    hint: 'Restore the model folder as a whole from where it came (for the shipped one: git checkout), and start again.',
    data: { file: path },
    cause,
  })
}
