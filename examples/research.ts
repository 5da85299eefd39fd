/**
 * Two readers look through a folder in a sandbox, and one model writes an answer that names its evidence. After `npm run build`: node dist/examples/research.js URL
 * The model that ships holds no conversation: give the URL of a model server on this machine.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadProfile, localMesh, OpenAiBackend, reader, research, serveModel, serveSandbox } from 'clawmesh'

const workspace = mkdtempSync(join(tmpdir(), 'research-'))
writeFileSync(
  join(workspace, 'minutes.txt'),
  'Present: Ada, Bo.\nThe committee chose the blue kettle.\nIt met for an hour.\n',
)
writeFileSync(join(workspace, 'invoice.txt'), 'One blue kettle, 40 EUR.\nPaid in March.\n')

const mesh = await localMesh()
const backend = await OpenAiBackend.open({ url: process.argv[2] ?? 'http://127.0.0.1:11434' })
await serveModel(mesh, backend)
await serveSandbox(mesh, { workspace, profile: await loadProfile('read-only-research') })
const readers = ['reader-1', 'reader-2']
for (const as of readers) await mesh.spawn(reader(mesh), { as })

const sources = ['minutes.txt', 'invoice.txt']
const { answer, evidence, writer, bill } = await research(mesh, {
  question: 'Which kettle was bought?',
  sources,
  readers,
})
process.stdout.write(`${answer}\n`)
for (const [index, { place, quote, cited }] of evidence.entries())
  if (cited) process.stdout.write(`[${index + 1}] ${place}: ${quote}\n`)
const tokens = bill.lines.reduce((sum, line) => sum + line.promptTokens + line.outputTokens, 0)
process.stdout.write(`written by ${writer.model} (${writer.zone}), ${tokens} tokens in all\n`)

await mesh.close()
await backend.dispose()
rmSync(workspace, { recursive: true })
