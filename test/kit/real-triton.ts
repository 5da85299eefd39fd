/** A real Triton server on loopback, from a Python environment in which nvidia-pytriton is installed: that package carries the server. */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TritonClient } from '../../inference/triton/client.js'
import type { TensorInfo } from '../../inference/triton/tensor.js'
import { installation } from '../../mesh/installation.js'
import { temporaryFolder } from '../inference/folder.js'
import { eventually } from './eventually.js'
import { freePort } from './free-port.js'

export interface RealModel {
  name: string
  dialect: string
  behaviour: 'answer' | 'endless' | 'faulty' | 'deaf'
  /** In the fixtures; model.py, if left out. */
  program?: string
  /** More of the model's parameters. */
  parameters?: Record<string, string>
  published: { inputs: readonly TensorInfo[]; outputs: readonly TensorInfo[] }
  decoupled?: boolean
  chatFormat?: string
  /** Not loaded at the start. Then models can be loaded and unloaded. */
  unloaded?: boolean
}

export interface RealTriton {
  url: string
  /** Ends the server at once. */
  kill(): void
  stop(): Promise<void>
}

export async function startTriton(environment: string, models: readonly RealModel[]): Promise<RealTriton> {
  const { packages, version } = pythonOf(environment)
  const distribution = join(packages, 'pytriton', 'tritonserver')
  const folder = await temporaryFolder()
  const backends = join(folder, 'backends')
  await cp(join(distribution, 'backends'), backends, { recursive: true })
  const stub = join('python_backend_stubs', version, 'triton_python_backend_stub')
  await cp(join(distribution, stub), join(backends, 'python', 'triton_python_backend_stub'))
  for (const model of models) await place(join(folder, 'models', model.name), model)
  const port = await freePort()
  const shared = `clawmesh_test_${process.pid}_${port}_`
  const server = spawn(
    join(distribution, 'bin', 'tritonserver'),
    [
      `--model-repository=${join(folder, 'models')}`,
      `--backend-directory=${backends}`,
      `--grpc-port=${port}`,
      '--grpc-address=127.0.0.1',
      '--allow-http=false',
      '--allow-metrics=false',
      '--exit-timeout-secs=2',
      ...(models.some(({ unloaded }) => unloaded)
        ? [
            '--model-control-mode=explicit',
            ...models.flatMap((model) => (model.unloaded ? [] : [`--load-model=${model.name}`])),
          ]
        : []),
      `--backend-config=python,shm-region-prefix-name=${shared}`,
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      // The processes of its models are of its group, and one in mid-answer does not see that the server was killed.
      detached: true,
      env: {
        PATH: `${join(environment, 'bin')}:/usr/bin:/bin`,
        LD_LIBRARY_PATH: join(packages, 'nvidia_pytriton.libs'),
        PYTHONPATH: packages,
      },
    },
  )
  let log = ''
  server.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-4000)
  })
  const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()))
  const kill = () => {
    if (server.pid !== undefined && server.exitCode === null && server.signalCode === null)
      process.kill(-server.pid, 'SIGKILL')
  }
  process.once('exit', kill)
  const client = new TritonClient(`127.0.0.1:${port}`)
  try {
    await eventually(async () => {
      if (server.exitCode !== null || server.signalCode !== null) throw new Error(`tritonserver ended: ${log}`)
      const { ready } = await client.ask('ServerReady', {}, 1000)
      if (!ready) throw new Error(`tritonserver is not ready: ${log}`)
    }, 60_000)
  } finally {
    client.close()
  }
  return {
    url: `grpc://127.0.0.1:${port}`,
    kill,
    stop: async () => {
      process.off('exit', kill)
      kill()
      await exited
      server.stderr.destroy()
      // A server that was killed leaves its shared memory behind.
      const left = readdirSync('/dev/shm').filter((name) => name.startsWith(shared))
      for (const name of left) rmSync(join('/dev/shm', name), { force: true })
    },
  }
}

function pythonOf(environment: string): { packages: string; version: string } {
  const library = join(environment, 'lib')
  const python = (existsSync(library) ? readdirSync(library) : []).find((name) =>
    existsSync(join(library, name, 'site-packages', 'pytriton', 'tritonserver')),
  )
  if (python === undefined) throw new Error(`nvidia-pytriton is not installed in ${environment}`)
  return { packages: join(library, python, 'site-packages'), version: python.replace('python', '') }
}

const types: Record<string, string> = { BYTES: 'TYPE_STRING' }

async function place(
  folder: string,
  {
    name,
    dialect,
    behaviour,
    published,
    decoupled = true,
    chatFormat = 'llama-nemotron',
    program,
    parameters: more,
  }: RealModel,
): Promise<void> {
  const batched = published.inputs[0]?.shape.length === 2
  const tensor = ({ name, datatype, shape }: TensorInfo): string =>
    `{ name: "${name}" data_type: ${types[datatype] ?? `TYPE_${datatype}`} dims: [ ${shape.slice(batched ? 1 : 0)} ]`
  const parameters = { dialect, behaviour, chat_format: chatFormat, ...more }
  const config = [
    `name: "${name}"`,
    'backend: "python"',
    `max_batch_size: ${batched ? 4 : 0}`,
    `model_transaction_policy { decoupled: ${decoupled} }`,
    `input [ ${published.inputs.map((input) => `${tensor(input)} optional: ${!program && input.name !== 'text_input'} }`).join(', ')} ]`,
    `output [ ${published.outputs.map((output) => `${tensor(output)} }`).join(', ')} ]`,
    ...Object.entries(parameters).map(
      ([key, value]) => `parameters { key: "${key}" value: { string_value: "${value}" } }`,
    ),
  ]
  await mkdir(join(folder, '1'), { recursive: true })
  await writeFile(join(folder, 'config.pbtxt'), config.join('\n'))
  await cp(
    join(installation, 'test', 'inference', 'fixtures', 'triton', program ?? 'model.py'),
    join(folder, '1', 'model.py'),
  )
}
