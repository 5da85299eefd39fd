/** The peers of the sandbox that Debian has: those that are installed, or else unpacked into the cache. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { unpackPackages } from '../../mesh/broker/debian.js'
import { cacheFolder } from '../../nodes/config.js'

/** What sandbox-runtime needs beside bubblewrap, and what socat is linked to. */
const packages = ['bubblewrap', 'socat', 'ripgrep', 'libwrap0']
const programs = ['bwrap', 'socat', 'rg']

/** The environment in which they are found. In words why they are not. */
export async function findPeers(): Promise<Record<string, string> | string> {
  const { PATH = '' } = process.env
  if (programs.every((name) => !spawnSync(name, ['--version']).error)) return { PATH }
  const folder = join(cacheFolder(process.env), 'bench-sandbox')
  const root = join(folder, 'root')
  try {
    if (!existsSync(root)) {
      process.stderr.write(`Fetching ${packages.join(', ')} of Debian's …\n`)
      const fresh = `${folder}.${process.pid}`
      mkdirSync(fresh, { recursive: true })
      await unpackPackages(packages, fresh)
      rmSync(folder, { recursive: true, force: true })
      renameSync(fresh, folder)
    }
  } catch (error) {
    return `they are not installed (Debian: ${packages.join(', ')}), and cannot be fetched: ${(error as Error).message}`
  }
  const libraries = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].flatMap((name) => [
    join(root, 'usr', 'lib', name),
    join(root, 'lib', name),
  ])
  return { PATH: `${join(root, 'usr', 'bin')}${delimiter}${PATH}`, LD_LIBRARY_PATH: libraries.join(':') }
}
