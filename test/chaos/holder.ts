/** A process that holds something, on a mesh of the test, until it is killed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { addressesOf } from '../../mesh/address.js'
import { openAuthority } from '../../mesh/seal/authority.js'
import { openTasks, type Tasks } from '../../mesh/task/tasks.js'
import { type NatsMesh, natsMesh } from '../kit/mesh.js'

export interface Holders {
  mesh: NatsMesh
  tasks: Tasks
  /** A holder that has said so many lines. */
  start(what: 'debate' | 'agent', lines: number): Promise<{ said: string[]; kill(): Promise<void> }>
  close(): Promise<void>
}

const life = fileURLToPath(new URL('holder-life.js', import.meta.url))

export async function openHolders(): Promise<Holders> {
  const mesh = await natsMesh(undefined, (folder) => {
    mkdirSync(folder, { recursive: true })
    return openAuthority(join(folder, 'authority'), Date.now())
  })
  const { authority, folder, broker } = mesh
  const transport = await mesh.connectAsAuthority()
  const addresses = addressesOf(authority.mesh, authority.meshKey)
  const tasks = await openTasks({ transport, addresses, key: authority.tasksKey, by: 'test' })
  const living = new Set<() => Promise<void>>()
  return {
    mesh,
    tasks,
    start: async (what, lines) => {
      const user = JSON.stringify(await mesh.accounts.administrator('mesh'))
      const child = spawn(process.execPath, [life, what, folder, broker.url, user], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const closed = once(child, 'close')
      const kill = async () => {
        living.delete(kill)
        child.kill('SIGKILL')
        await closed
      }
      living.add(kill)
      const said: string[] = []
      for await (const line of createInterface({ input: child.stdout })) if (said.push(line) === lines) break
      return { said, kill }
    },
    close: async () => {
      for (const kill of living) await kill()
      await transport.close()
      await mesh.close()
    },
  }
}
