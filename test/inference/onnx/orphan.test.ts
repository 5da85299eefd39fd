import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { markovModel } from '../markov.js'

it('the process of a model ends when the node is killed', async () => {
  const program = fileURLToPath(new URL('./host.js', import.meta.url))
  const node = spawn(process.execPath, [program, await markovModel(() => 97)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(node.stdout, 'data')) as [Buffer]
  const pid = Number(line.toString())
  assert.ok(pid > 0)
  node.kill('SIGKILL')
  const alive = (): boolean => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }
  const limit = performance.now() + 60_000
  while (alive() && performance.now() < limit) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal(alive(), false)
})
