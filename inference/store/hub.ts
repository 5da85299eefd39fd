import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'

/** A file as the hub lists it: SHA-256 where it keeps one (large files), else the id that git gives its content. */
export interface HubFile {
  path: string
  bytes: number
  digest: { kind: 'sha256' | 'git'; hex: string }
}

/** A repository at one revision. */
export interface HubModel {
  repository: string
  /** The commit, whatever name the revision was asked under. */
  commit: string
  files: HubFile[]
  licence: { name: string; link?: string }
}

/** What `/api/models/REPOSITORY/revision/REVISION?blobs=true` answers, as far as it is read here (the Hugging Face hub and its mirrors). */
const answerSchema = z.object({
  sha: z.string().regex(/^[0-9a-f]{40}$/),
  siblings: z.array(
    z.object({
      // Inside the folder, whatever the hub says.
      rfilename: z.string().regex(/^(?!.*(^|\/)\.{1,2}(\/|$))[\w.@+=, -]+(\/[\w.@+=, -]+)*$/),
      size: z.int().nonnegative(),
      blobId: z.string().regex(/^[0-9a-f]{40}$/),
      lfs: z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/), size: z.int().nonnegative() }).nullish(),
    }),
  ),
  cardData: z
    .object({
      license: z.string().optional(),
      license_name: z.string().optional(),
      license_link: z.string().optional(),
    })
    .nullish()
    .catch(null),
})

/** A hub over HTTP: what repositories have, and where their files are. */
export class Hub {
  readonly base: string

  constructor(base: string) {
    const url = URL.canParse(base) ? new URL(base) : undefined
    if (url?.protocol !== 'https:' && url?.protocol !== 'http:')
      throw new ClawmeshError('USAGE', `"${base}" is not the URL of a model hub.`, { hint: 'Give it as https://HOST.' })
    this.base = base.replace(/\/+$/, '')
  }

  /** Throws MODEL_UNSUITED if there is no such model or revision, DENIED if it is not for everybody, MODEL_FAILED, MODEL_BROKEN for what is no list. */
  async look(repository: string, revision: string, signal?: AbortSignal): Promise<HubModel> {
    const url = `${this.base}/api/models/${repository}/revision/${encodeURIComponent(revision)}?blobs=true`
    const response = await request(url, {}, signal)
    const text = await response.text().catch((cause: unknown) => {
      throw unreachable(url, cause)
    })
    const { data, error } = answerSchema.safeParse(parseJson(text))
    if (!data) throw untrue(repository, `its list of files cannot be read (${error.issues[0]?.path.join('.')})`)
    // Who names a commit means that one and no other.
    if (/^[0-9a-f]{40}$/.test(revision) && data.sha !== revision)
      throw untrue(repository, `it answers with revision ${data.sha}`)
    const { license, license_name: name, license_link: link } = data.cardData ?? {}
    return {
      repository,
      commit: data.sha,
      files: data.siblings.map(({ rfilename, size, blobId, lfs }) => ({
        path: rfilename,
        bytes: lfs?.size ?? size,
        digest: lfs ? { kind: 'sha256', hex: lfs.sha256 } : { kind: 'git', hex: blobId },
      })),
      licence: { name: name ?? license ?? 'not stated', ...(link ? { link } : {}) },
    }
  }

  urlOf({ repository, commit }: HubModel, path: string): string {
    return `${this.base}/${repository}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`
  }
}

/** A response of the hub, or of where it redirects to. Throws MODEL_FAILED, MODEL_UNSUITED, DENIED. */
export async function request(url: string, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
  let response: Response
  try {
    response = await fetch(url, { headers, ...(signal ? { signal } : {}) })
  } catch (cause) {
    signal?.throwIfAborted()
    throw unreachable(url, cause)
  }
  if (url.startsWith('https:') && !response.url.startsWith('https:')) {
    await response.body?.cancel()
    throw new ClawmeshError('DENIED', `${url} leads to ${response.url}, which is not encrypted.`, {
      hint: 'Use another mirror.',
    })
  }
  if (response.ok) return response
  await response.body?.cancel()
  const message = `${url} answers ${response.status}.`
  if (response.status === 401 || response.status === 403)
    throw new ClawmeshError('DENIED', message, {
      hint: 'The model is not for everybody: fetch it as its page says, and give its folder to --model.',
    })
  if (response.status === 404 || response.status === 410)
    throw new ClawmeshError('MODEL_UNSUITED', message, { hint: 'Check the name and the revision.' })
  throw new ClawmeshError('MODEL_FAILED', message, {
    hint: 'Try again later, or use a mirror.',
    data: { status: response.status },
  })
}

export function unreachable(url: string, cause: unknown): ClawmeshError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  return new ClawmeshError(
    'MODEL_FAILED',
    `${new URL(url).host} cannot be read: ${inner instanceof Error ? inner.message : String(inner)}.`,
    {
      hint: 'Check the connection and try again: what has arrived is kept.',
      cause,
    },
  )
}

export function untrue(what: string, why: string): ClawmeshError {
  return new ClawmeshError('MODEL_BROKEN', `The hub's ${what} is not to be trusted: ${why}.`, {
    hint: 'Nothing of it is used. Try again, or use another mirror.',
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
