/**
 * transformers.js as a peer: the same weights, greedy, one request after the other, since it does not batch. Installed into a temporary folder, once; no part of
 * clawmesh. It is the oracle for tokens too: where it is not to be had, the rows are left out and the reason is said.
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
  const peer = await installed()
  // Where it looks for a graph.
  await mkdir(join(folder, 'onnx'), { recursive: true })
  await cp(join(folder, 'model.onnx'), join(folder, 'onnx', 'model.onnx'))
  await writeFile(join(peer, 'ask.mjs'), program)
  await writeFile(join(peer, 'asked.json'), JSON.stringify({ folder, prompts, maxTokens }))
  const { stdout } = await run(process.execPath, ['ask.mjs'], { cwd: peer, maxBuffer: 1 << 26, timeout: 900_000 })
  return answersSchema.parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''))
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

const program = `
import { readFileSync } from 'node:fs'
import { AutoModelForCausalLM, env, Tensor } from '@huggingface/transformers'
const { folder, prompts, maxTokens } = JSON.parse(readFileSync('asked.json', 'utf8'))
env.allowRemoteModels = false
env.localModelPath = '/'
const model = await AutoModelForCausalLM.from_pretrained(folder, {
  local_files_only: true, dtype: 'fp32', device: 'cpu', session_options: { intraOpNumThreads: 1, interOpNumThreads: 1 },
})
const ask = async (ids, most) => {
  const tensor = (values) => new Tensor('int64', BigInt64Array.from(values, BigInt), [1, ids.length])
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
