import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pause as pauseFor } from '../../mesh/task/pause.js'
import { ClawmeshError } from '../../policies/errors.js'
import { type HubFile, request, unreachable, untrue } from './hub.js'

export interface DownloadOptions {
  signal?: AbortSignal | undefined
  /** Bytes that are there, after each piece. */
  onBytes?: ((bytes: number) => void) | undefined
  /** Most milliseconds without a byte. */
  stallMs?: number
  /** Waits before the tries that follow one that brought nothing. */
  pausesMs?: readonly number[]
}

/**
 * Brings a file of the hub to `path`.
 *
 * 1. What stands at `path` had the size and digest that the hub lists, when it was renamed to it; until then it is `path.part`.
 * 2. What has arrived is kept and gone on from, in this process and in later ones; as long as tries bring something, they go on.
 * 3. What arrived whole and is wrong is thrown away and fetched once more, from the beginning.
 */
export async function download(url: string, file: HubFile, path: string, options: DownloadOptions = {}): Promise<void> {
  const { signal, onBytes, stallMs = 30_000, pausesMs = [500, 2000, 5000] } = options
  const part = `${path}.part`
  await mkdir(dirname(path), { recursive: true })
  let [fruitless, wrong] = [0, 0]
  for (;;) {
    signal?.throwIfAborted()
    const before = await sizeOf(part)
    const failure =
      before < file.bytes || before === 0
        ? await bring(url, file, part, before, { signal, onBytes, stallMs })
        : undefined
    if (failure && (!failure.retry || failure.code === 'DISK_FULL')) throw failure
    const after = await sizeOf(part)
    if (!failure && after === file.bytes) {
      if (await matches(part, file)) return void (await rename(part, path))
      await rm(part, { force: true })
      if (++wrong === 2)
        throw untrue(file.path, `what arrives has another digest than the ${file.digest.hex} that it lists`)
      continue
    }
    if (after > file.bytes) {
      await rm(part, { force: true })
      if (++wrong === 2) throw untrue(file.path, `more arrives than the ${file.bytes} bytes that it lists`)
      continue
    }
    fruitless = after > before ? 0 : fruitless + 1
    const pause = pausesMs[fruitless - 1]
    if (fruitless > 0 && pause === undefined)
      throw failure ?? untrue(file.path, `it ends after ${after} of the ${file.bytes} bytes that it lists`)
    if (pause !== undefined) await pauseFor(pause, signal)
  }
}

/** Whether a file has the digest. */
export async function matches(path: string, { bytes, digest }: HubFile): Promise<boolean> {
  const hash: Hash = createHash(digest.kind === 'git' ? 'sha1' : 'sha256')
  if (digest.kind === 'git') hash.update(`blob ${bytes}\0`)
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer)
  return hash.digest('hex') === digest.hex
}

/** Appends what arrives to the part. Returns what broke it off, if anything did; a short body is nobody's error yet. */
async function bring(
  url: string,
  file: HubFile,
  part: string,
  from: number,
  {
    signal,
    onBytes,
    stallMs,
  }: { signal: AbortSignal | undefined; onBytes: DownloadOptions['onBytes']; stallMs: number },
): Promise<ClawmeshError | undefined> {
  const stalled = new AbortController()
  const timer = globalThis.setTimeout(() => stalled.abort(), stallMs)
  const handle = await open(part, 'a')
  try {
    const either = signal ? AbortSignal.any([signal, stalled.signal]) : stalled.signal
    const response = await request(url, from > 0 ? { range: `bytes=${from}-` } : {}, either)
    // A server that does not know ranges, or gives another one, begins at the beginning.
    const goesOn = response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${from}-`)
    if (!goesOn) await handle.truncate(0)
    let size = goesOn ? from : 0
    for await (const piece of response.body ?? []) {
      timer.refresh()
      await handle.write(piece)
      size += piece.length
      onBytes?.(size)
      // One byte too many is proof enough.
      if (size > file.bytes) break
    }
    await handle.sync()
    return undefined
  } catch (thrown) {
    signal?.throwIfAborted()
    if (stalled.signal.aborted) return unreachable(url, new Error(`nothing came for ${stallMs} ms`))
    if (thrown instanceof ClawmeshError) return thrown
    const error = ClawmeshError.from(thrown)
    return error.code === 'DISK_FULL' ? error : unreachable(url, thrown)
  } finally {
    clearTimeout(timer)
    await handle.close()
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0
}
