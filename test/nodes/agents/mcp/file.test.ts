/** MCP servers that a person wrote down for a machine, as `clawmesh up --mcp FILE` runs them. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { installation } from '../../../../mesh/installation.js'
import { readMcpFile, serverOf } from '../../../../nodes/agents/mcp/file.js'
import { callMcp, mcpTools } from '../../../../nodes/agents/mcp/tool.js'
import { readConfig } from '../../../../nodes/config.js'
import { openDataFolder } from '../../../../nodes/data-folder.js'
import { planOffer } from '../../../../nodes/member/offer.js'
import { planInference } from '../../../../nodes/process/plan.js'
import { startSite } from '../../../../nodes/site.js'
import { temporaryFolder } from '../../../kit/mesh.js'

describe('a file of MCP servers', () => {
  const folder = temporaryFolder()
  const workspace = join(folder, 'workspace')
  before(() => {
    mkdirSync(workspace)
    writeFileSync(join(workspace, 'glossary.txt'), 'actor: something that is sent messages\n')
  })
  after(() => rmSync(folder, { recursive: true, force: true }))
  const write = (text: string): string => {
    const path = join(folder, 'mcp.yaml')
    writeFileSync(path, text)
    return path
  }
  const glossary = (more = '') => `servers:
  glossary:
    command: node
    args: ['${join(installation, 'examples', 'glossary.mjs')}']
    code:
      - '${join(installation, 'examples', 'glossary.mjs')}'
      - '${join(installation, 'node_modules', '@modelcontextprotocol')}'
      - '${join(installation, 'node_modules', 'zod')}'
    label: INTERNAL
${more}`

  it('means its own folder, the workspace of the machine, and the preset for servers', async () => {
    const path = write("servers:\n  a: { command: node, args: [./s.mjs, -x], code: [.], policy: { '*': ask } }\n")
    const [plan] = await readMcpFile(path, workspace)
    assert.ok(plan && 'command' in plan)
    assert.deepEqual([plan.args, plan.code, plan.workspace], [[join(folder, 's.mjs'), '-x'], [folder], workspace])
    const server = serverOf(plan)
    assert.ok('profile' in server && server.profile.read.includes('.') && server.profile.write.length === 0)
    assert.deepEqual(server.policy, { '*': 'ask' })
  })

  it('is refused where something in it cannot be meant', async () => {
    for (const [text, why] of [
      ['servers: { a: { command: node, arg: [] } }', /Unrecognized key/],
      ['servers: { A: { command: node } }', /small letters/],
      ["servers: { a: { url: 'http://192.0.2.1/mcp', runs: unsandboxed } }", /not on this machine/],
      ["servers: { a: { url: 'http://127.0.0.1/mcp' } }", /runs/],
      [
        "servers: { a: { url: 'https://a.example', runs: elsewhere, login: { as: employee, client: c, issuer: 'https://b.example' } } }",
        /login\.idp/,
      ],
      ['servers: { a: { command: node, sandbox: no-such } }', /no-such/],
      ['servers: [', /cannot be used/],
    ] as const)
      await assert.rejects(readMcpFile(write(text), workspace), why)
    const offer = { policy: 'ask-first', mcp: write(glossary()) }
    await assert.rejects(
      planOffer(offer, folder, planInference({ model: 'shipped' }, readConfig())),
      /this machine offers none/,
    )
  })

  it('has its servers run in sandboxes by the node of the machine, for all of the mesh', async () => {
    const data = openDataFolder(join(folder, 'mesh'))
    const offer = { workspace, policy: 'read-only-research', mcp: write(glossary()) }
    const { roles, plan } = await planOffer(offer, data.path, planInference({ model: 'shipped' }, readConfig()))
    const { inference: _, ...rest } = plan
    const onFailure = (error: Error) => {
      throw error
    }
    const nodes = [{ name: 'box', roles: roles.filter((role) => role !== 'inference'), plan: rest }]
    const site = await startSite({
      config: readConfig(),
      folder: data,
      port: 0,
      nodes,
      progress: () => undefined,
      onFailure,
    })
    try {
      const [lookUp] = await mcpTools(site.node, 'glossary')
      assert.ok(lookUp)
      const outcome = await callMcp(site.node, lookUp, { word: 'actor' }, { timeoutMs: 60_000 })
      assert.deepEqual(outcome, { status: 'done', text: 'actor: something that is sent messages', label: 'INTERNAL' })
    } finally {
      const trail = await site.close()
      data.release()
      assert.ok(trail.verdict.ok)
    }
  })
})
