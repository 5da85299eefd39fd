/** The program that the conformance suite starts for each of its client scenarios: `node conformance-client.js URL`. It is the product's own way to a local server. */
import { localMesh } from '../../../../mesh/index.js'
import { serveMcp } from '../../../../nodes/agents/mcp/host.js'
import { callMcp, mcpTools } from '../../../../nodes/agents/mcp/tool.js'

const url = process.argv.at(-1) ?? ''
const argumentsOf: Record<string, Record<string, unknown>> = { add_numbers: { a: 5, b: 3 } }

const mesh = await localMesh()
try {
  await serveMcp(mesh, { name: 'peer', url, runs: 'unsandboxed' })
  for (const tool of await mcpTools(mesh, 'peer')) {
    const { status, text } = await callMcp(mesh, tool, argumentsOf[tool.tool] ?? {}, {
      timeoutMs: 20_000,
      told: { label: 'INTERNAL' },
    })
    process.stdout.write(`${tool.tool}: ${status}: ${text}\n`)
    if (status !== 'done') process.exitCode = 1
  }
} finally {
  await mesh.close()
}
