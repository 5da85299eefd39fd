/**
 * transformers.js as a peer: the same weights, greedy, one request after the other, since it does not batch. Installed into a temporary folder, once; no part of
 * clawmesh. It is the oracle for tokens and logits too. Rejects where it is not to be had: what is compared with it is then left out, and the reason is said.
 */
import { execFile } from 'node:child_process'
import { access, cp, mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'

const run = promisify(execFile)
const version = '4.3.2'
const answersSchema = z.object({ ms: z.number(), answers: z.array(z.array(z.number())) })

/** Tokens of each answer, and the milliseconds that all of them took, the load not counted. Rejects where the peer cannot be had. */
export async function askTransformers(
  folder: string,
  prompts: readonly (readonly number[])[],
  maxTokens: number,
): Promise<z.output<typeof answersSchema>> {
  return answersSchema.parse(await runPeer(askProgram, folder, { prompts, maxTokens }))
}

/** For each prompt the logits of the token behind it. */
export async function transformersLogits(
  folder: string,
  prompts: readonly (readonly number[])[],
): Promise<readonly (readonly number[])[]> {
  return z.array(z.array(z.number())).parse(await runPeer(logitsProgram, folder, { prompts }))
}

async function runPeer(program: string, folder: string, asked: object): Promise<unknown> {
  const peer = await installed()
  // Where it looks for a graph.
  await mkdir(join(folder, 'onnx'), { recursive: true })
  await cp(join(folder, 'model.onnx'), join(folder, 'onnx', 'model.onnx'))
  await writeFile(join(peer, 'peer.mjs'), loadProgram + program)
  await writeFile(join(peer, 'asked.json'), JSON.stringify({ folder, ...asked }))
  const { stdout } = await run(process.execPath, ['peer.mjs'], { cwd: peer, maxBuffer: 1 << 28, timeout: 900_000 })
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}

async function installed(): Promise<string> {
  const peer = join(tmpdir(), 'clawmesh-bench', `transformers-${version}`)
  const isThere = await access(join(peer, 'installed')).then(
    () => true,
    () => false,
  )
  if (isThere) return peer
  await mkdir(peer, { recursive: true })
  await writeFile(join(peer, 'package.json'), JSON.stringify({ name: 'peer', private: true, type: 'module' }))
  // The script of onnxruntime-node fetches CUDA libraries; the CPU's come with the package.
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', `@huggingface/transformers@${version}`]
  await run('npm', args, { cwd: peer, timeout: 600_000, maxBuffer: 1 << 26 })
  await writeFile(join(peer, 'installed'), '')
  return peer
}

const loadProgram = `
import { readFileSync } from 'node:fs'
import { AutoModelForCausalLM, env, Tensor } from '@huggingface/transformers'
const { folder, prompts, maxTokens } = JSON.parse(readFileSync('asked.json', 'utf8'))
env.allowRemoteModels = false
env.localModelPath = '/'
const model = await AutoModelForCausalLM.from_pretrained(folder, {
  local_files_only: true, dtype: 'fp32', device: 'cpu', session_options: { intraOpNumThreads: 1, interOpNumThreads: 1 },
})
const tensor = (values) => new Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length])
`

const askProgram = `
const ask = async (ids, most) => {
  const all = await model.generate({
    inputs: tensor(ids), attention_mask: tensor(ids.map(() => 1)), max_new_tokens: most, do_sample: false,
  })
  return Array.from(all.data, Number).slice(ids.length)
}
await ask(prompts[0], 4)
const begun = performance.now()
const answers = []
for (const ids of prompts) answers.push(await ask(ids, maxTokens))
console.log(JSON.stringify({ ms: performance.now() - begun, answers }))
process.exit(0)
`

const logitsProgram = `
const rows = []
for (const ids of prompts) {
  const { logits } = await model({ input_ids: tensor(ids), attention_mask: tensor(ids.map(() => 1)) })
  rows.push(Array.from(logits.data.slice(-logits.dims.at(-1))))
}
process.stdout.write(JSON.stringify(rows) + '\\n', () => process.exit(0))
`
