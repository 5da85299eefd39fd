import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { link, mkdir, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { type DownloadOptions, download } from './download.js'
import type { Hub, HubFile, HubModel } from './hub.js'
import { isFree, type Licence, LicenceBook } from './licence.js'

export interface PullOptions extends Omit<DownloadOptions, 'onBytes'> {
  /** A branch, tag or commit. Default: main. */
  revision?: string
  /** Patterns with * of the files to fetch. Default: all. */
  include?: readonly string[]
  /** Whether a licence with conditions is accepted. Not asked for free ones. */
  accepts(licence: Licence): Promise<boolean>
  onProgress?: (progress: Progress) => void
}

export interface Progress {
  path: string
  /** Bytes of all files that are to be fetched, and of those that are there. */
  done: number
  total: number
}

export interface StoredModel {
  /** ORGANISATION/NAME. */
  repository: string
  commit: string
  /** As the hub named it when the model was fetched. */
  licence: string
  folder: string
  bytes: number
  files: number
}

const manifestSchema = z.object({
  source: z.object({ repository: z.string(), commit: z.string(), licence: z.string() }),
  files: z.array(z.object({ path: z.string(), bytes: z.int().nonnegative(), sha256: z.string() })),
})

/**
 * Models that were fetched from a hub, on this disk.
 *
 *     blobs/sha256-…                       one file each, shared by all models that have it
 *     models/ORGANISATION--NAME/COMMIT/    links to blobs, and manifest.json
 *
 * 1. manifest.json is written last: a folder without one is no model, and nothing loads it.
 * 2. Whatever loads a model checks every file against the manifest again (`openModel`).
 */
export class ModelStore {
  readonly folder: string
  private readonly licences: LicenceBook

  constructor(folder: string) {
    this.folder = folder
    this.licences = new LicenceBook(join(folder, 'licences.jsonl'))
  }

  /** Fetches a model, or finds that it is there. Throws what Hub and download throw, DENIED for a licence that is not accepted, DISK_FULL. */
  async pull(hub: Hub, repository: string, options: PullOptions): Promise<StoredModel> {
    checkName(repository)
    const model = await hub.look(repository, options.revision ?? 'main', options.signal)
    const files = model.files.filter(({ path }) => isIncluded(path, options.include))
    if (files.length === 0)
      throw new ClawmeshError('MODEL_UNSUITED', `${repository} has no file like ${options.include?.join(', ')}.`, {
        hint: `It has: ${model.files
          .map(({ path }) => path)
          .slice(0, 20)
          .join(', ')}.`,
      })
    await this.agree(model, options)
    await this.refuseWhenFull(files)
    const folder = this.folderOf(repository, model.commit)
    await mkdir(folder, { recursive: true })
    const total = files.reduce((sum, { bytes }) => sum + bytes, 0)
    const entries: Entry[] = []
    let done = 0
    for (const file of files) {
      const report = (bytes: number): void => options.onProgress?.({ path: file.path, done: done + bytes, total })
      report(0)
      entries.push(await this.fetchFile(hub, model, file, folder, { ...options, onBytes: report }))
      done += file.bytes
      report(0)
    }
    await writeManifest(folder, model, entries)
    const licence = model.licence.name
    return { repository, commit: model.commit, licence, folder, bytes: total, files: files.length }
  }

  /** All models that are whole, by name. */
  async list(): Promise<StoredModel[]> {
    const models: StoredModel[] = []
    for (const name of await entriesOf(join(this.folder, 'models')))
      for (const commit of await entriesOf(join(this.folder, 'models', name))) {
        const folder = join(this.folder, 'models', name, commit)
        const manifest = await readManifest(folder)
        if (!manifest) continue
        const bytes = distinct(manifest.files).reduce((sum, file) => sum + file.bytes, 0)
        const { repository, licence } = manifest.source
        models.push({ repository, commit, licence, folder, bytes, files: manifest.files.length })
      }
    return models.sort((a, b) => a.repository.localeCompare(b.repository))
  }

  /** The one that is there under a name, without asking anybody. Throws MODEL_UNSUITED. */
  async find(repository: string, revision?: string): Promise<StoredModel> {
    const found = (await this.list()).filter(
      (model) => model.repository === repository && (revision === undefined || model.commit.startsWith(revision)),
    )
    const [first, second] = found
    if (first && !second) return first
    throw new ClawmeshError(
      'MODEL_UNSUITED',
      `${found.length === 0 ? 'No' : 'More than one'} revision of ${repository} is in the store.`,
      {
        hint:
          found.length === 0
            ? 'See clawmesh models list; fetch it with clawmesh models pull.'
            : `Name one with --revision: ${found.map(({ commit }) => commit.slice(0, 12)).join(', ')}.`,
      },
    )
  }

  /** Whether somebody accepted its licence here, or it asks nothing of whoever runs it. Files that were copied from another store bring no such record. */
  async isAccepted({ repository, licence }: StoredModel): Promise<boolean> {
    return isFree(licence) || this.licences.has(repository, { name: licence })
  }

  /** The files of a model that are missing, truncated or altered, each with what is wrong. */
  async verify({ folder }: StoredModel): Promise<{ path: string; why: string }[]> {
    const manifest = await readManifest(folder)
    const faults: { path: string; why: string }[] = []
    for (const { path, bytes, sha256 } of manifest?.files ?? []) {
      const size = (await stat(join(folder, path)).catch(() => undefined))?.size
      if (size === undefined) faults.push({ path, why: 'it is missing' })
      else if (size !== bytes) faults.push({ path, why: `it has ${size} bytes instead of ${bytes}` })
      else if ((await sha256Of(join(folder, path))) !== sha256) faults.push({ path, why: 'its SHA-256 differs' })
    }
    return faults
  }

  /** Takes a model off the disk, and the blobs that only it had. Returns how many bytes that freed. */
  async remove({ folder }: StoredModel): Promise<number> {
    await rm(join(folder, 'manifest.json'), { force: true })
    await rm(folder, { recursive: true, force: true })
    const kept = new Set(
      (await Promise.all((await this.list()).map((model) => readManifest(model.folder)))).flatMap((manifest) =>
        (manifest?.files ?? []).map(({ sha256 }) => blobName(sha256)),
      ),
    )
    let freed = 0
    for (const name of await entriesOf(join(this.folder, 'blobs'))) {
      if (kept.has(name) || name.endsWith('.part')) continue
      const path = join(this.folder, 'blobs', name)
      freed += (await stat(path)).size
      await rm(path, { force: true })
    }
    return freed
  }

  private async fetchFile(
    hub: Hub,
    model: HubModel,
    file: HubFile,
    folder: string,
    options: DownloadOptions,
  ): Promise<Entry> {
    const blobs = join(this.folder, 'blobs')
    const fetched = join(blobs, fetchedName(file))
    const isThere =
      (await stat(fetched).catch(() => undefined))?.size === file.bytes && (await sha256Of(fetched)) === file.digest.hex
    if (!isThere) {
      await rm(fetched, { force: true })
      await download(hub.urlOf(model, file.path), file, fetched, options)
    }
    const sha256 = file.digest.kind === 'sha256' ? file.digest.hex : await sha256Of(fetched)
    const blob = join(blobs, blobName(sha256))
    if (blob !== fetched) await rename(fetched, blob)
    await place(blob, join(folder, file.path))
    return { path: file.path, bytes: file.bytes, sha256 }
  }

  private async agree({ repository, commit, licence }: HubModel, { accepts }: PullOptions): Promise<void> {
    if (isFree(licence.name) || (await this.licences.has(repository, licence))) return
    if (!(await accepts(licence)))
      throw new ClawmeshError(
        'DENIED',
        `${repository} is under the licence "${licence.name}", which was not accepted.`,
        {
          hint: `Read it${licence.link ? ` at ${licence.link}` : ' on the page of the model'}, and say --accept-licence if you agree.`,
        },
      )
    await this.licences.record({ repository, commit, licence })
  }

  private async refuseWhenFull(files: readonly HubFile[]): Promise<void> {
    await mkdir(this.folder, { recursive: true })
    const { bavail, bsize } = await statfs(this.folder)
    let needed = 0
    for (const file of files) needed += file.bytes - (await this.present(file))
    if (bavail * bsize > needed) return
    throw new ClawmeshError(
      'DISK_FULL',
      `${needed} bytes are still to be fetched, and ${bavail * bsize} are free on the disk that holds ${this.folder}.`,
      {
        hint: 'Free some space, or choose another folder with CLAWMESH_CACHE.',
      },
    )
  }

  /** Bytes of a file that are on the disk already, whole or in part. */
  private async present(file: HubFile): Promise<number> {
    const blob = join(this.folder, 'blobs', fetchedName(file))
    const found = (await stat(blob).catch(() => undefined)) ?? (await stat(`${blob}.part`).catch(() => undefined))
    return Math.min(file.bytes, found?.size ?? 0)
  }

  private folderOf(repository: string, commit: string): string {
    return join(this.folder, 'models', repository.replace('/', '--'), commit)
  }
}

type Entry = z.infer<typeof manifestSchema>['files'][number]

/** Written beside and renamed, so that there is a whole manifest or none. One graph alone is also `model.onnx`, where the backend looks for it. */
async function writeManifest(
  folder: string,
  { repository, commit, licence }: HubModel,
  entries: readonly Entry[],
): Promise<void> {
  const graphs = entries.filter(({ path }) => path.endsWith('.onnx'))
  const [graph, second] = graphs
  const files = [...entries]
  if (graph && !second && graph.path !== 'model.onnx') {
    await place(join(folder, graph.path), join(folder, 'model.onnx'))
    files.push({ ...graph, path: 'model.onnx' })
  }
  const manifest = { source: { repository, commit, licence: licence.name }, files }
  await writeFile(join(folder, 'manifest.json.part'), `${JSON.stringify(manifest, null, 1)}\n`)
  await rename(join(folder, 'manifest.json.part'), join(folder, 'manifest.json'))
}

async function readManifest(folder: string): Promise<z.infer<typeof manifestSchema> | undefined> {
  const text = await readFile(join(folder, 'manifest.json'), 'utf8').catch(() => undefined)
  try {
    return manifestSchema.safeParse(JSON.parse(text ?? '')).data
  } catch {
    return undefined
  }
}

/** The same file under a second name, whatever was there. */
async function place(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  await rm(to, { force: true })
  await link(from, to)
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer)
  return hash.digest('hex')
}

function blobName(sha256: string): string {
  return `sha256-${sha256}`
}

/** A file of which the hub knows only git's id is fetched under that, and then known by its SHA-256 like all others. */
function fetchedName({ digest }: HubFile): string {
  return digest.kind === 'sha256' ? blobName(digest.hex) : `git-${digest.hex}`
}

function distinct(files: readonly Entry[]): Entry[] {
  return [...new Map(files.map((file) => [file.sha256, file])).values()]
}

function isIncluded(path: string, patterns: readonly string[] | undefined): boolean {
  if (!patterns) return path !== '.gitattributes'
  return patterns.some((pattern) =>
    new RegExp(
      `^${pattern
        .split('*')
        .map((piece) => piece.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
        .join('.*')}$`,
    ).test(path),
  )
}

function checkName(repository: string): void {
  if (/^[\w][\w.-]*\/[\w][\w.-]*$/.test(repository) && !repository.includes('..')) return
  throw new ClawmeshError('USAGE', `"${repository}" is not the name of a model.`, {
    hint: 'Give it as ORGANISATION/NAME.',
  })
}

function entriesOf(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => [])
}
