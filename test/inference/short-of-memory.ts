/** `node short-of-memory.js`: loads a model under a limit of memory that a small one would pass, and prints what it fails with. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { shippedModelFolder } from '../../inference/models.js'
import { OnnxBackend } from '../../inference/onnx/backend.js'
import { ClawmeshError } from '../../policies/errors.js'
import { markovModel } from './markov.js'

const [folder] = process.argv.slice(2)
if (folder === undefined) {
  // What the process of a small model takes; half of the big one's weights more is too little for it.
  const small = await OnnxBackend.open({ folder: shippedModelFolder })
  const status = readFileSync(`/proc/${await small.pid()}/status`, 'utf8')
  await small.dispose()
  const kilobytes = Number(/VmData:\s+(\d+)/.exec(status)?.[1])
  const big = await markovModel(() => 97, 4096, 40_000_000)
  const args = [
    '-c',
    `ulimit -d ${kilobytes + 80_000}; exec "$@"`,
    'sh',
    process.execPath,
    fileURLToPath(import.meta.url),
    big,
  ]
  const { stdout, stderr } = spawnSync('sh', args, { encoding: 'utf8' })
  process.stdout.write(stdout)
  process.stderr.write(stderr)
} else {
  try {
    await (await OnnxBackend.open({ folder })).dispose()
    process.stdout.write('{}')
  } catch (thrown) {
    const { code, retry } = ClawmeshError.from(thrown)
    process.stdout.write(JSON.stringify({ code, retry }))
    process.stderr.write(String(thrown))
  }
}
