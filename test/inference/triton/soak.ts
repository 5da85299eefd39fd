/** Fetches a real Triton server as a Python package and holds the backend to its contract there: too much to fetch for every `npm test`. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder } from '../../../nodes/config.js'

const suite = fileURLToPath(new URL('./real.test.js', import.meta.url))

/** Resolves to whether every run passed; false, with the reason, where the server cannot be had. A count of 0 has it installed and no more. */
export async function soakTriton(count: number): Promise<boolean> {
  const environment = process.env['CLAWMESH_TEST_TRITON'] ?? install(join(cacheFolder(process.env), 'test-triton'))
  if (environment === undefined) return false
  for (let round = 0; round < count; round += 1) {
    const env = { ...process.env, CLAWMESH_TEST_TRITON: environment }
    const { status } = spawnSync(process.execPath, ['--test', '--test-reporter=spec', suite], {
      env,
      stdio: ['ignore', 1, 2],
    })
    if (status !== 0) return false
  }
  return true
}

function install(folder: string): string | undefined {
  const python = join(folder, 'bin', 'python3')
  const steps = [
    ...(existsSync(python) ? [] : [['python3', '-m', 'venv', folder]]),
    [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', 'nvidia-pytriton', 'onnxruntime'],
  ]
  for (const [command = '', ...args] of steps) {
    const { status, error } = spawnSync(command, args, { stdio: ['ignore', 2, 2] })
    if (status === 0) continue
    process.stderr.write(
      `No real Triton: ${command} ${args.join(' ')} ended with ${error?.message ?? `status ${status}`}.\n`,
    )
    return undefined
  }
  return folder
}
