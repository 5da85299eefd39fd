import { type ChildProcess, spawn } from 'node:child_process'
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
  /** Standard output; undefined: there is no such command, it failed, it took longer than `commandMs`, or it said too much. */
  output(command: string, ...args: string[]): Promise<string | undefined>
}

/** Of the devices of a machine so many are looked at and told of; an advert is read by every node. */
export const mostDevices = 128

/** How long a command may take. */
export const commandMs = 5000

/** Bytes of an answer; a longer one is none. */
const mostOutput = 1_000_000

/** The machine this runs on. */
export const thisHost: Host = {
  platform: platform(),
  arch: arch(),
  file: (path) => readFile(path, 'utf8').catch(() => undefined),
  entries: (folder) => readdir(folder).catch(() => []),
  output: (command, ...args) => run(command, args).catch(() => undefined),
}

/** Programs that still have time. They end with this process, which does not stay for them. */
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Waits for no program: one that sleeps in a broken driver does not even die by SIGKILL. */
function run(command: string, args: string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    // In English and with no other environment: the answers are parsed.
    const env = { PATH: searchPath, LC_ALL: 'C' }
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'ignore'] })
    running.add(child)
    const end = (answer: string | undefined): void => {
      running.delete(child)
      clearTimeout(timer)
      resolve(answer)
    }
    const giveUp = (): void => {
      child.kill('SIGKILL')
      child.unref()
      child.stdout.destroy()
      end(undefined)
    }
    const timer = setTimeout(giveUp, commandMs)
    const chunks: Buffer[] = []
    let size = 0
    child.stdout.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      size += chunk.length
      if (size > mostOutput) giveUp()
    })
    child.on('error', () => end(undefined))
    child.on('close', (code) => end(code === 0 ? Buffer.concat(chunks).toString() : undefined))
  })
}

/** Where the commands stand; WSL keeps nvidia-smi in a folder of its own, and so does ROCm its tools. */
const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/wsl/lib:/opt/rocm/bin'
