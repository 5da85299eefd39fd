/** `clawmesh mcp login`: a machine whose file names a server that asks for a login, from before there is one until it is forgotten; by the shipped command. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { installation } from '../../../mesh/installation.js'
import { eventually } from '../../kit/eventually.js'
import { temporaryFolder } from '../../kit/mesh.js'
import { openPeer, type Peer } from '../agents/mcp/authorization-server.js'
import { type Organisation, openOrganisation } from '../agents/mcp/identity-provider.js'
import { command, type Running, run } from '../command.js'
import { Machine } from '../machine.js'

describe('clawmesh mcp login', () => {
  const machine = new Machine()
  const [workspace, folder] = [temporaryFolder(), temporaryFolder()]
  let peer: Peer
  let organisation: Organisation
  before(async () => {
    const authority = join(folder, 'peer.json')
    peer = await openPeer(authority)
    organisation = await openOrganisation(authority, 'mesh-7')
    peer.trusts = { organisation, client: 'mesh-7', secret: 'of mesh-7' }
    writeFileSync(join(folder, 'ca.pem'), peer.trust)
    const reached = `url: '${peer.url}/mcp', runs: elsewhere, addresses: [127.0.0.1], trust: ./ca.pem`
    const idp = `{ issuer: '${organisation.url}', client: ${organisation.client} }`
    const employee = `{ as: employee, client: mesh-7, issuer: '${peer.url}', idp: ${idp} }`
    writeFileSync(
      join(folder, 'mcp.yaml'),
      `servers:
  wiki: { ${reached}, login: { as: person } }
  desk: { ${reached}, hosts: ['${new URL(organisation.url).host}'], login: ${employee} }
`,
    )
    await machine.up('--name', 'home', '--workspace', workspace, '--mcp', join(folder, 'mcp.yaml'))
  })
  after(async () => {
    await machine.remove()
    await peer.close()
    await organisation.close()
    for (const each of [workspace, folder]) rmSync(each, { recursive: true, force: true })
  })

  /** Says what its tool says; a program of the mesh, as anybody may write one. */
  const probe = join(folder, 'probe.mjs')
  const tryIt = async (server: string) => {
    writeFileSync(
      probe,
      `import { mcpTools, callMcp } from '${join(installation, 'dist', 'nodes', 'agents', 'mcp', 'tool.js')}'
import { openLiveGround } from '${join(installation, 'dist', 'nodes', 'authority', 'live.js')}'
import { joinAsGuest } from '${join(installation, 'dist', 'nodes', 'member', 'guest.js')}'
const data = process.argv[2]
const ground = await openLiveGround(data)
const { node, end } = await joinAsGuest(ground, data, ['supervisor'])
try {
  const [tool] = await mcpTools(node, '${server}')
  console.log((await callMcp(node, tool, {}, { seen: { label: 'PUBLIC', categories: [] } })).text)
} catch (error) {
  console.log(error.message)
}
await end()
await ground.close()`,
    )
    return (await run([machine.data], { main: probe }).ended).stdout
  }

  /** A person who opens the address that is shown, and says yes there. */
  const sayYes = async (login: Running) => {
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
  }

  it('has nobody in before, whoever said yes after, and nobody again when it is forgotten', async () => {
    assert.match(await tryIt('wiki'), /wiki asks for a login/)
    const login = run(['mcp', 'login', 'wiki', '--data', machine.data])
    await sayYes(login)
    const ended = await login.ended
    assert.equal(ended.status, 0, ended.stderr)
    assert.equal((await tryIt('wiki')).trim(), 'anna')
    const out = await command('mcp', 'logout', 'wiki', '--json', '--data', machine.data)
    assert.deepEqual(JSON.parse(out.stdout), { ok: true, server: 'wiki', wasKept: true })
    assert.match(await tryIt('wiki'), /asks for a login/)
    const none = await command('mcp', 'login', 'nobody', '--data', machine.data)
    assert.match(none.stderr, /names no MCP server nobody that has a login/)
  })

  it('takes a person of an organisation by its identity provider, with the secrets of both clients', async () => {
    const piped = (...lines: string[]) => ({ before: ['bash', '-c', `printf '%s\\n' ${lines.join(' ')} | "$@"`, 'sh'] })
    const args = ['mcp', 'login', 'desk', '--idp-secret', '--data', machine.data]
    const one = await run(args, piped(organisation.secret)).ended
    assert.match(one.stderr, /There are 1 lines, and 2 secrets are wanted/)
    assert.match(await tryIt('desk'), /desk asks for a login/)
    const login = run(args, piped("'of mesh-7'", organisation.secret))
    await sayYes(login)
    const ended = await login.ended
    assert.equal(ended.status, 0, ended.stderr)
    assert.equal((await tryIt('desk')).trim(), 'anna')
    await command('mcp', 'logout', 'desk', '--data', machine.data)
    assert.match(await tryIt('desk'), /asks for a login/)
  })
})
