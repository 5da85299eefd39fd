/** Builds a current nats-server and holds the mesh's contract to it: too long for every `npm test`, which runs it once the server is there. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { buildCurrentBroker } from '../kit/current-broker.js'

const suite = fileURLToPath(new URL('./contract-current.test.js', import.meta.url))

/** Resolves to whether every run of the contract passed. */
export async function soakCurrent(count: number): Promise<boolean> {
  const reason = await buildCurrentBroker()
  if (reason !== undefined) {
    process.stderr.write(`${reason}\n`)
    return false
  }
  for (let round = 0; round < count; round += 1) {
    const { status } = spawnSync(process.execPath, ['--test', '--test-reporter=spec', suite], {
      stdio: ['ignore', 1, 2],
    })
    if (status !== 0) return false
  }
  return true
}
