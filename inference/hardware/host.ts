import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { arch, platform } from 'node:os'
import type { VisibleGpus } from './visible.js'

/** A machine to be read: what its files and its own commands say. */
export interface Host {
  platform: string
  arch: string
  /** Which GPUs this process may use. */
  visibleGpus?: VisibleGpus | undefined
  /** undefined: there is no such file, or it may not be read. */
  file(path: string): Promise<string | undefined>
  /** Names in a folder; none where there is no such folder, or it may not be read. */
  entries(folder: string): Promise<string[]>
  /** Standard output; undefined: there is no such command, it failed, or it took longer than five seconds. */
  output(command: string, ...args: string[]): Promise<string | undefined>
}

/** The machine this runs on. */
export const thisHost: Host = {
  platform: platform(),
  arch: arch(),
  file: (path) => readFile(path, 'utf8').catch(() => undefined),
  entries: (folder) => readdir(folder).catch(() => []),
  output: (command, ...args) =>
    new Promise((resolve) => {
      // In English and with no other environment: the answers are parsed.
      const env = { PATH: searchPath, LC_ALL: 'C' }
      execFile(command, args, { env, timeout: 5000, maxBuffer: 4_000_000 }, (error, stdout) =>
        resolve(error ? undefined : stdout),
      )
    }),
}

/** Where the commands stand; WSL keeps nvidia-smi in a folder of its own, and so does ROCm its tools. */
const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/wsl/lib:/opt/rocm/bin'
