/** An agent reads a file outside its workspace: the action waits until a person has answered. After `npm run build`: node dist/examples/approval.js [yes] */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  AskApproval,
  actor,
  agent,
  loadProfile,
  localMesh,
  OnnxBackend,
  on,
  runTask,
  serveModel,
  serveSandbox,
  shippedModelFolder,
} from 'clawmesh'

const home = mkdtempSync(join(tmpdir(), 'approval-'))
const workspace = mkdtempSync(join(home, 'workspace-'))
writeFileSync(join(home, 'diary.txt'), 'Dear diary,\nnothing happened.\n')

const mesh = await localMesh()
const backend = await OnnxBackend.open({ folder: shippedModelFolder })
await serveModel(mesh, backend)
await serveSandbox(mesh, { workspace, profile: await loadProfile('ask-first') })

/** Whoever brings the question to you: a terminal, a page, a pager. Here your answer is the program's argument. */
const approver = actor('approver', () => [
  on(AskApproval, ({ tool, missing }) => {
    process.stdout.write(
      `${tool} wants to ${missing.map(({ kind, path }) => `${kind} ${path.split('/').at(-1)}`).join(', ')}\n`,
    )
    return { answer: process.argv[2] === 'yes' ? ('allow' as const) : ('refuse' as const), by: 'you' }
  }),
])
await mesh.spawn(approver)

const clerk = await mesh.spawn(agent(mesh, { name: 'clerk', instructions: 'Count lines.', tools: ['count_lines'] }))
const { answer, reason } = await runTask(clerk, `how many lines has ../diary.txt`)
process.stdout.write(`${answer || reason.split(':')[0]}\n`)

await mesh.close()
await backend.dispose()
rmSync(home, { recursive: true })
