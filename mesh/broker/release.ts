/** The official nats-server release. Digests are those that the project pins in its own container files (nats-io/nats-docker). */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { arch, platform } from 'node:process'
import { promisify } from 'node:util'
import type { BinarySearch } from './binary.js'

const version = '2.14.5'

const pinned: Record<string, { name: string; sha256: string }> = {
  'linux-x64': { name: 'linux-amd64', sha256: '5e3b603d47c447bda1f77f9ac16dbf91c90aac4ff3681f8fbbc7201e4ed99355' },
  'linux-arm64': { name: 'linux-arm64', sha256: '673a98d3faa79dde3f9ebf16d6dfac36a5f694e7ad2015e4954dd7939c85cd4c' },
  'linux-arm': { name: 'linux-arm7', sha256: 'c8796b63a8603fdebabd63146ac3d3997c29a2829fdd2af6db320f4a287f2e71' },
}

export const officialReleases = 'https://github.com/nats-io/nats-server/releases/download'

/** For how long a download may say nothing before it is given up: a start must not hang where a firewall swallows packets. */
export interface Patience {
  answerMs: number
  stallMs: number
}

const standardPatience: Patience = { answerMs: 10_000, stallMs: 10_000 }
const mostBytes = 64 * 1024 * 1024

/** Downloads, checks and unpacks into `folder`; resolves to the path of the binary. */
export async function fetchRelease(
  folder: string,
  { releases, progress, patience, signal }: BinarySearch,
): Promise<string> {
  const build = pinned[`${platform}-${arch}`]
  if (!build) throw new Error(`no digest is known for ${platform}-${arch}`)
  const stem = `nats-server-v${version}-${build.name}`
  progress(`Fetching nats-server ${version} …`)
  const archive = await download(`${releases}/v${version}/${stem}.tar.gz`, patience ?? standardPatience, signal)
  const found = createHash('sha256').update(archive).digest('hex')
  if (found !== build.sha256) throw new Error(`the download has SHA-256 ${found}, not the pinned ${build.sha256}`)
  const file = join(folder, 'release.tar.gz')
  writeFileSync(file, archive)
  await promisify(execFile)('tar', ['-xzf', file, '-C', folder, '--strip-components=1', `${stem}/nats-server`])
  return join(folder, 'nats-server')
}

async function download(url: string, { answerMs, stallMs }: Patience, signal?: AbortSignal): Promise<Uint8Array> {
  const giveUp = new AbortController()
  const either = signal ? AbortSignal.any([giveUp.signal, signal]) : giveUp.signal
  const within = (ms: number, why: string) => setTimeout(() => giveUp.abort(new Error(`${why} for ${ms / 1000} s`)), ms)
  let timer = within(answerMs, 'the download did not answer')
  try {
    const response = await fetch(url, { signal: either })
    if (!response.ok || !response.body) throw new Error(`the download answered ${response.status}`)
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of response.body) {
      clearTimeout(timer)
      timer = within(stallMs, 'the download stood still')
      chunks.push(chunk)
      size += chunk.length
      if (size > mostBytes) throw new Error('the download is larger than any release')
    }
    return Buffer.concat(chunks)
  } catch (error) {
    // fetch itself says only "fetch failed"; its cause says why.
    if (error instanceof TypeError && error.cause instanceof Error)
      throw new Error(`the download failed: ${error.cause.message}`, { cause: error })
    throw error
  } finally {
    clearTimeout(timer)
    giveUp.abort()
  }
}
