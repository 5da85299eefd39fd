/**
 * Packages of Debian's, the nats-server among them, fetched by apt and unpacked rather than installed: installing it starts a system service, and an ordinary
 * user cannot. apt checks the package against the archive's signature; its lists and cache are kept in a folder of ours.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { BinarySearch } from './binary.js'

const run = promisify(execFile)

/** Downloads and unpacks into `folder`; resolves to the path of the binary. */
export async function fetchDebianPackage(folder: string, { progress, signal }: BinarySearch): Promise<string> {
  progress("Fetching Debian's nats-server package …")
  return join(await unpackPackages(['nats-server'], folder, signal), 'usr', 'sbin', 'nats-server')
}

/** Downloads and unpacks these, and nothing that they depend on, into `folder`; resolves to where their root is. */
export async function unpackPackages(names: readonly string[], folder: string, signal?: AbortSignal): Promise<string> {
  if (process.platform !== 'linux') throw new Error('this is not Debian')
  const lists = join(folder, 'lists')
  mkdirSync(join(lists, 'partial'), { recursive: true })
  mkdirSync(join(folder, 'cache', 'archives', 'partial'), { recursive: true })
  const own = [
    ['Dir::State::Lists', lists],
    ['Dir::Cache', join(folder, 'cache')],
    ['Debug::NoLocking', '1'],
    // The download runs as us, into a folder that only we can write.
    ['APT::Sandbox::User', ''],
    ['Acquire::http::Timeout', '15'],
    ['Acquire::https::Timeout', '15'],
  ].flatMap(([name, value]) => ['-o', `${name}=${value}`])
  await apt([...own, '-q', 'update'], folder, signal)
  await apt([...own, '-q', 'download', ...names], folder, signal)
  const archives = readdirSync(folder).filter((name) => name.endsWith('.deb'))
  if (archives.length < names.length) throw new Error('apt-get left no package')
  const root = join(folder, 'root')
  for (const archive of archives) await run('dpkg', ['-x', join(folder, archive), root])
  return root
}

/** Rejects with what apt itself says is wrong. */
async function apt(args: string[], cwd: string, signal: AbortSignal | undefined): Promise<void> {
  try {
    await run('apt-get', args, { cwd, timeout: 120_000, ...(signal ? { signal } : {}) })
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')
      throw new Error('there is no apt-get here', { cause })
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr) : ''
    const complaint = /^E: (.*)$/m.exec(said)?.[1] ?? 'it failed or took too long'
    throw new Error(`apt-get ${args.at(-1) === 'update' ? 'update' : 'download'}: ${complaint}`, { cause })
  }
}
