/**
 * Debian's nats-server, fetched by apt and unpacked rather than installed: installing it starts a system service, and an ordinary user
 * cannot. apt checks the package against the archive's signature; its lists and cache are kept in a folder of ours.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { BinarySearch } from './binary.js'

const run = promisify(execFile)

/** Downloads and unpacks into `folder`; resolves to the path of the binary. */
export async function fetchDebianPackage(folder: string, { progress }: BinarySearch): Promise<string> {
  if (process.platform !== 'linux') throw new Error('this is not Debian')
  progress("Fetching Debian's nats-server package …")
  const lists = join(folder, 'lists')
  mkdirSync(join(lists, 'partial'), { recursive: true })
  mkdirSync(join(folder, 'cache', 'archives', 'partial'), { recursive: true })
  const own = [
    ['Dir::State::Lists', lists],
    ['Dir::Cache', join(folder, 'cache')],
    ['Debug::NoLocking', '1'],
    // The download runs as us, into a folder that only we can write.
    ['APT::Sandbox::User', ''],
  ].flatMap(([name, value]) => ['-o', `${name}=${value}`])
  await run('apt-get', [...own, '-q', 'update'], { cwd: folder, timeout: 120_000 })
  await run('apt-get', [...own, '-q', 'download', 'nats-server'], { cwd: folder, timeout: 120_000 })
  const archive = readdirSync(folder).find((name) => name.endsWith('.deb'))
  if (!archive) throw new Error('apt-get left no package')
  await run('dpkg', ['-x', join(folder, archive), join(folder, 'root')])
  return join(folder, 'root', 'usr', 'sbin', 'nats-server')
}
