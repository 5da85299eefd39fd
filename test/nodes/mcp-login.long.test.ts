/** `clawmesh mcp login`: a machine whose file names a server that asks for a login, from before there is one until it is forgotten; by the shipped command. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { installation } from '../../mesh/installation.js'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'
import { openPeer, type Peer } from './agents/mcp/authorization-server.js'
import { command, run } from './command.js'
import { Machine } from './machine.js'

describe('clawmesh mcp login', () => {
  const machine = new Machine()
  const [workspace, folder] = [temporaryFolder(), temporaryFolder()]
  let peer: Peer
  before(async () => {
    peer = await openPeer(join(folder, 'peer.json'))
    writeFileSync(join(folder, 'ca.pem'), peer.trust)
    const server = `{ url: '${peer.url}/mcp', runs: elsewhere, addresses: [127.0.0.1], trust: ./ca.pem, login: { as: person } }`
    writeFileSync(join(folder, 'mcp.yaml'), `servers:\n  wiki: ${server}\n`)
    await machine.up('--name', 'home', '--workspace', workspace, '--mcp', join(folder, 'mcp.yaml'))
  })
  after(async () => {
    await machine.remove()
    await peer.close()
    for (const each of [workspace, folder]) rmSync(each, { recursive: true, force: true })
  })

  /** Says what its tool says; a program of the mesh, as anybody may write one. */
  const probe = join(folder, 'probe.mjs')
  const tryIt = async () => {
    writeFileSync(
      probe,
      `import { mcpTools, callMcp } from '${join(installation, 'dist', 'nodes', 'agents', 'mcp', 'tool.js')}'
import { openLiveGround } from '${join(installation, 'dist', 'nodes', 'authority', 'live.js')}'
import { joinAsGuest } from '${join(installation, 'dist', 'nodes', 'member', 'guest.js')}'
const data = process.argv[2]
const ground = await openLiveGround(data)
const { node, end } = await joinAsGuest(ground, data, ['supervisor'])
try {
  const [tool] = await mcpTools(node, 'wiki')
  console.log((await callMcp(node, tool, {}, { seen: { label: 'PUBLIC', categories: [] } })).text)
} catch (error) {
  console.log(error.message)
}
await end()
await ground.close()`,
    )
    return (await run([machine.data], { main: probe }).ended).stdout
  }

  it('has nobody in before, whoever said yes after, and nobody again when it is forgotten', async () => {
    assert.match(await tryIt(), /wiki asks for a login/)
    const login = run(['mcp', 'login', 'wiki', '--data', machine.data])
    const address = await eventually(() => {
      const [found] = /https:\/\/localhost\S+/.exec(login.stderr()) ?? []
      assert.ok(found, login.stderr())
      return found
    }, 20_000)
    const page = request(address, { ca: peer.trust }, (reply) => {
      reply.resume()
      void fetch(reply.headers.location ?? '')
    })
    page.end()
    const ended = await login.ended
    assert.equal(ended.status, 0, ended.stderr)
    assert.equal((await tryIt()).trim(), 'anna')
    const out = await command('mcp', 'logout', 'wiki', '--json', '--data', machine.data)
    assert.deepEqual(JSON.parse(out.stdout), { ok: true, server: 'wiki', wasKept: true })
    assert.match(await tryIt(), /asks for a login/)
    const none = await command('mcp', 'login', 'nobody', '--data', machine.data)
    assert.match(none.stderr, /names no MCP server nobody that has a login/)
  })
})
