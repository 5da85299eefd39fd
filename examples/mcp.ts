/**
 * An agent uses a tool of an MCP server, which runs in a sandbox with one folder to read and no network. After `npm run build`: node dist/examples/mcp.js [URL]
 * The model that ships knows the twelve tools of the mesh and no others: give the URL of a model server on this machine, or see a rule stand in for one.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agent, loadProfile, localMesh, mcpTools, OpenAiBackend, runTask, serveMcp, serveModel } from 'clawmesh'
import { rule } from './rule.js'

const workspace = mkdtempSync(join(tmpdir(), 'glossary-'))
writeFileSync(
  join(workspace, 'glossary.txt'),
  'actor: something that is sent messages\nlease: a claim that ends by itself\n',
)
const root = join(import.meta.dirname, '..', '..')

const mesh = await localMesh()
const [, , url] = process.argv
const backend = url === undefined ? rule : await OpenAiBackend.open({ url })
await serveModel(mesh, backend)
await serveMcp(mesh, {
  name: 'glossary',
  command: 'node',
  args: [join(root, 'examples', 'glossary.mjs')],
  code: ['examples/glossary.mjs', 'node_modules/@modelcontextprotocol', 'node_modules/zod'].map((path) =>
    join(root, path),
  ),
  workspace,
  profile: await loadProfile('mcp-server'),
})

const tools = await mcpTools(mesh, 'glossary')
const reader = await mesh.spawn(agent(mesh, { name: 'reader', instructions: 'Explain words by the glossary.', tools }))
const { answer, reason } = await runTask(reader, 'What is an actor?')
process.stdout.write(`${answer || reason}\n`)

await mesh.close()
await backend.dispose()
rmSync(workspace, { recursive: true })
