/**
 * What a vote and a debate are worth: the shipped model on 300 arithmetic questions that its training never saw, asked alone, by a majority of five, in a
 * debate behind a gate, and in a full debate. Voters are actors of one mesh that put the question in five wordings; all strategies draw the same samples
 * in their first round. Expressions are worked out in this process by the function that the sandbox's tool runs.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { shippedModelFolder } from '../inference/models.js'
import { OnnxBackend } from '../inference/onnx/backend.js'
import { localMesh, type MeshNode } from '../mesh/index.js'
import { installation } from '../mesh/installation.js'
import { debate } from '../nodes/agents/debate/debate.js'
import { debater } from '../nodes/agents/debate/debater.js'
import type { DebateSpec } from '../nodes/agents/debate/rules.js'
import { answerKey } from '../nodes/agents/debate/tally.js'
import { serveModel } from '../nodes/process/serve.js'
import { actions } from '../sandbox/tools/actions.js'
import type { Report } from './figure.js'

const agents = 5
const rounds = 3
const questions = 300
const atOnce = 3

const strategies: { name: string; rules: Partial<DebateSpec> & { agents: number } }[] = [
  { name: 'single', rules: { agents: 1, rounds: 1 } },
  { name: `majority of ${agents}`, rules: { agents, rounds: 1, early: false } },
  // So many that their agreement is a majority already.
  {
    name: 'gated debate',
    rules: { agents, rounds, gate: Math.floor(agents / 2) + 1, topology: 'ring', vote: 'weighted' },
  },
  { name: 'full debate', rules: { agents, rounds, topology: 'all', vote: 'weighted', early: false } },
]

const calculate = (expression: string): string => actions.calculate({ expression }).value

export default async function bench(report: Report): Promise<void> {
  const asked = await heldOut()
  const backend = await OnnxBackend.open({ folder: shippedModelFolder })
  const mesh = await localMesh()
  try {
    await serveModel(mesh, backend)
    for (let phrasing = 0; phrasing < agents; phrasing += 1)
      await mesh.spawn(debater(mesh, { calculate }), {
        as: `voter-${phrasing + 1}`,
        args: { thinks: 'arithmetic', phrasing, temperature: 0.7, maxTokens: 200 },
      })
    const measured = new Map<string, Score>()
    for (const { name, rules } of strategies) measured.set(name, await score(mesh, asked, rules))
    const [majority, full] = [measured.get(`majority of ${agents}`), measured.get('full debate')]
    for (const [name, { right, tokens }] of measured) {
      const isGated = name === 'gated debate'
      const accuracy = (100 * right) / asked.length
      const needed = (100 * (majority?.right ?? 0)) / asked.length
      report({
        metric: `${name}: right answers`,
        value: accuracy,
        unit: '%',
        ...(isGated ? { baseline: needed, aim: '≥ majority', ok: accuracy >= needed } : {}),
      })
      const ratio = tokens / (full?.tokens ?? Number.NaN)
      report({
        metric: `${name}: tokens a question`,
        value: tokens / asked.length,
        unit: 'tokens',
        baseline: (full?.tokens ?? 0) / asked.length,
        ratio,
        ...(isGated ? { aim: '≤ 0.4 of full', ok: ratio <= 0.4 } : {}),
      })
    }
  } finally {
    await mesh.close()
    await backend.dispose()
  }
}

interface Score {
  right: number
  tokens: number
}

async function score(
  mesh: MeshNode,
  asked: Question[],
  { agents: count, ...rules }: (typeof strategies)[number]['rules'],
): Promise<Score> {
  const voters = Array.from({ length: count }, (_, index) => ({ name: `voter-${index + 1}` }))
  const sum = { right: 0, tokens: 0 }
  let next = 0
  const lane = async () => {
    for (let index = next++; index < asked.length; index = next++) {
      const { question = '', answer = '' } = asked[index] ?? {}
      const { outcome, bill } = await debate(mesh, { question, voters, seed: index * 1009, ...rules })
      if (outcome.answer !== undefined && answerKey(outcome.answer) === answerKey(answer)) sum.right += 1
      sum.tokens += bill.tokens
    }
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
  return sum
}

interface Question {
  question: string
  answer: string
}

const exampleSchema = z.object({
  kind: z.string(),
  request: z.string(),
  call: z.object({ arguments: z.record(z.string(), z.unknown()) }).nullable(),
  answer: z.string().optional(),
})

/** Those that were made for calls, 200 of them, and as many of the small sums as are left to 300. */
async function heldOut(): Promise<Question[]> {
  const lines = await readFile(join(installation, 'inference', 'shipped', 'heldout.jsonl'), 'utf8')
  const examples = lines
    .trim()
    .split('\n')
    .map((line) => exampleSchema.parse(JSON.parse(line)))
    .filter(({ kind }) => kind.startsWith('arithmetic'))
    .toSorted((a, b) => a.kind.localeCompare(b.kind))
  return examples.slice(0, questions).map(({ request, call, answer }) => ({
    question: request,
    answer: answer ?? calculate(String(call?.arguments['expression'])),
  }))
}
