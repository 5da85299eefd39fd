/**
 * Many agents on one machine: 2,000 idle ones on one node over NATS, and 100 of them at work at once. A tool step is the time from the agent's decision to
 * act until it has seen what came of it, audit included: the intent on this disk and acknowledged by the stream, then the action, then its end. Thoughts
 * come from a model of fixed rules, since it is the agents that are measured. Each step has four records, and each is synced to disk before anything else
 * happens: a second node, whose chain is in memory, shows how much of a step that is.
 */
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { z } from 'zod'
import { openChain } from '../mesh/audit/chain.js'
import type { MeshNode } from '../mesh/index.js'
import { agent, runTask } from '../nodes/agents/agent/agent.js'
import { ownTool } from '../nodes/agents/agent/own-tool.js'
import { serveModel, serveSandbox } from '../nodes/process/serve.js'
import { roles } from '../policies/roles.js'
import { loadProfile } from '../sandbox/preset.js'
import { natsMesh } from '../test/kit/mesh.js'
import { call, observed, RuleBackend } from '../test/kit/rules.js'
import type { Report } from './figure.js'

const idle = 2000
const active = 100
const tasksEach = 5

const echo = ownTool({
  name: 'echo',
  description: 'Says it again.',
  args: z.object({ word: z.string() }),
  runs: 'in-process',
  run: ({ word }) => word,
})

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

export default async function bench(report: Report): Promise<void> {
  const mesh = await natsMesh()
  const all = [...roles]
  const node = await mesh.join('agents', { roles: all, chain: openChain(join(mesh.folder, 'agents.chain')) })
  const diskless = await mesh.join('diskless', { roles: all })
  const spread = (metric: string, times: number[]) => {
    report({ metric: `${metric}: median`, value: at(times, 0.5), unit: 'ms' })
    report({ metric: `${metric}: p99`, value: at(times, 0.99), unit: 'ms' })
  }
  try {
    await serveModel(node, new RuleBackend(actsOnce))
    await serveSandbox(node, { workspace: mesh.folder, profile: await loadProfile('none') })
    await benchIdle(node, report)
    await spawn(diskless, active)
    // Everything is compiled and connected before it counts.
    for (const each of [node, diskless]) await steps(each, 'echo', 1)
    spread(`step with a tool in the process, ${active} active`, await steps(node, 'echo', tasksEach))
    spread('the same, with the audit chain in memory', await steps(diskless, 'echo', tasksEach))
    spread(`step in the sandbox, ${active} active`, await steps(node, 'calculate', 1))
    spread('step in the sandbox, one active', await steps(node, 'calculate', 20, 1))
  } finally {
    await mesh.close()
  }
}

async function benchIdle(node: MeshNode, report: Report): Promise<void> {
  const before = memory()
  const began = performance.now()
  await spawn(node, idle)
  const startMs = performance.now() - began
  const after = memory()
  report({ metric: `heap of an idle agent, of ${idle}`, value: (after.heap - before.heap) / idle / 1024, unit: 'KiB' })
  report({
    metric: `resident memory of an idle agent, of ${idle}`,
    value: (after.rss - before.rss) / idle / 1024,
    unit: 'KiB',
  })
  report({ metric: 'start of an agent, its name claimed in the mesh', value: startMs / idle, unit: 'ms' })
}

async function spawn(node: MeshNode, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1)
    await node.spawn(
      agent(node, {
        name: nameOf(node, index),
        instructions: 'Act once.',
        tools: [echo, 'calculate'],
        toolMs: 120_000,
      }),
    )
}

/** Of each tool step in milliseconds, with so many agents at work at once. */
async function steps(node: MeshNode, tool: string, tasks: number, agents = active): Promise<number[]> {
  const times: number[] = []
  const work = async (index: number) => {
    for (let task = 0; task < tasks; task += 1) {
      let began = 0
      await runTask(node.ref(nameOf(node, index)), tool, {
        timeoutMs: 120_000,
        onEvent: ({ type }) => {
          if (type === 'acting') began = performance.now()
          if (type === 'observed') times.push(performance.now() - began)
        },
      })
    }
  }
  await Promise.all(Array.from({ length: agents }, (_, index) => work(index)))
  return times.sort((a, b) => a - b)
}

function actsOnce(request: Parameters<ConstructorParameters<typeof RuleBackend>[0]>[0]) {
  const saw = observed(request)
  if (saw !== undefined) return call('finish', { answer: saw })
  const [, { content: tool } = { content: 'echo' }] = request.messages
  return tool === 'calculate' ? call(tool, { expression: '6 * 7' }) : call('echo', { word: 'again' })
}

const nameOf = (node: MeshNode, index: number) => `${node.name}-${index}`
const at = (sorted: number[], share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN

function memory(): { heap: number; rss: number } {
  collectGarbage()
  const { heapUsed, rss } = process.memoryUsage()
  return { heap: heapUsed, rss }
}
