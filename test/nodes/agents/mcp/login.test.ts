/** Logins into MCP servers elsewhere: of a person, there or at the identity provider of an organisation. What was sent, and to whom, is read from what they were told. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { request } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import type { MeshNode } from '../../../../mesh/index.js'
import { signingKey } from '../../../../mesh/seal/keys.js'
import { logIn } from '../../../../nodes/agents/mcp/authorize.js'
import { mcpName, serveMcp } from '../../../../nodes/agents/mcp/host.js'
import { Identity } from '../../../../nodes/agents/mcp/identity.js'
import type { Login, LoginOf } from '../../../../nodes/agents/mcp/login.js'
import { LoginFile } from '../../../../nodes/agents/mcp/login-file.js'
import { fetchOf } from '../../../../nodes/agents/mcp/outbound.js'
import { callMcp, mcpTools } from '../../../../nodes/agents/mcp/tool.js'
import { serveElsewhere } from '../../../../nodes/elsewhere.js'
import { readRouterRules } from '../../../../nodes/router-rules.js'
import { resolver } from '../../../../sandbox/egress/resolve.js'
import { memoryMesh, temporaryFolder } from '../../../kit/mesh.js'
import { openPeer, type Peer } from './authorization-server.js'
import { type Organisation, openOrganisation } from './identity-provider.js'

type PersonsLogin = LoginOf<'person' | 'employee'>

describe('a login into an MCP server', () => {
  const undo: (() => unknown)[] = []
  const folder = temporaryFolder()
  const secret = 'the secret of mesh-7'
  let box: MeshNode
  let mind: MeshNode
  let peer: Peer
  let organisation: Organisation
  let file: LoginFile

  before(async () => {
    undo.push(() => rmSync(folder, { recursive: true, force: true }))
    const mesh = await memoryMesh()
    undo.push(() => mesh.close())
    box = await mesh.join('box', { roles: ['sandbox', 'worker'] })
    mind = await mesh.join('mind', { roles: ['supervisor', 'gateway'] })
    const rules = readRouterRules().text.replace(/^tagger: .*$/m, 'tagger: { kinds: [] }')
    await serveElsewhere(await mesh.join('keys', { roles: ['router'] }), { rules })
  })
  beforeEach(async () => {
    const authority = join(folder, 'tls.json')
    peer = await openPeer(authority)
    organisation = await openOrganisation(authority, 'mesh-7')
    peer.trusts = { organisation, client: 'mesh-7', secret }
    file = fileOf()
  })
  afterEach(async () => {
    await box.stop(mcpName('wiki'))
    file.remove()
    await Promise.all([peer.close(), organisation.close()])
  })
  after(async () => {
    for (const step of undo.reverse()) await step()
  })

  const key = signingKey()
  const fileOf = (more: { url?: string; login?: Login } = {}) =>
    new LoginFile(folder, { name: 'wiki', url: reached().url, ...more }, key)
  const reached = () => {
    const hosts = [new URL(organisation.url).host]
    const { trust } = peer
    return { url: `${peer.url}/mcp`, runs: 'elsewhere' as const, addresses: ['127.0.0.1'], hosts, trust }
  }
  const serve = (login: PersonsLogin) => serveMcp(box, { name: 'wiki', ...reached(), login }, { login: file })
  /** A person with a browser: goes where the page sends it. */
  const browse = (address: URL) => {
    const page = request(address, { ca: peer.trust }, async (reply) => {
      reply.resume()
      const back = new URL(reply.headers.location ?? '')
      // Another page that guesses where the answer is waited for is told nothing, and changes nothing.
      const guess = new URL(`?code=theirs&state=guessed`, back)
      assert.equal((await fetch(guess)).status, 404)
      assert.equal((await fetch(`${back.origin}//`)).status, 404)
      assert.equal((await fetch(back)).status, 200)
    })
    page.end()
  }
  const sit = (login: PersonsLogin, open: (address: URL) => void = browse) => {
    const server = { name: 'wiki', login, url: reached().url, fetch: fetchOf(reached(), resolver()) }
    return logIn(server, file, { open, signal: AbortSignal.timeout(10_000) })
  }
  const nobody = () => assert.fail('nobody is asked')
  const whoami = async () => {
    const [tool] = await mcpTools(mind, 'wiki')
    assert.ok(tool)
    return (await callMcp(mind, tool, {}, { timeoutMs: 10_000, seen: { label: 'PUBLIC', categories: [] } })).text
  }
  /** What could do harm in other hands. */
  const sent = (of: { asked: readonly string[] }) =>
    of.asked.filter((each) => /authorize|token|register/.test(each)).map((each) => each.replace(/^\w+ /, ''))

  describe('of a person', () => {
    it('is good for the agents of a mesh once the person has said yes, and there is none before', async () => {
      await serve({ as: 'person' })
      await assert.rejects(mcpTools(mind, 'wiki'), /wiki asks for a login/)
      await sit({ as: 'person' })
      assert.equal(await whoami(), 'anna')
      const path = join(folder, 'mcp-logins', 'wiki.sealed')
      const token = String(file.read().tokens?.['access_token'])
      assert.ok(token.length > 30 && !readFileSync(path).includes(token))
      assert.equal(statSync(path).mode & 0o077, 0)
      assert.ok(
        readdirSync(folder).every(
          (name) => !statSync(join(folder, name)).isFile() || !readFileSync(join(folder, name)).includes(token),
        ),
      )
    })

    it('goes to nobody who is called by the same name later, nor to another issuer or client', async () => {
      await sit({ as: 'person' })
      const changes = [
        { url: 'https://other.example/mcp' },
        { login: { as: 'token' as const } },
        { login: { as: 'person' as const, client: 'mesh-8' } },
        { login: { as: 'person' as const, issuer: 'https://login.example' } },
      ]
      for (const change of changes) assert.deepEqual(fileOf(change).read(), {})
      assert.equal(typeof fileOf().read().tokens?.['access_token'], 'string')
      fileOf(changes[0]).change({ secret })
      assert.deepEqual(fileOf(changes[0]).read(), { secret })
      assert.deepEqual(fileOf().read(), {})
    })

    it('is through no host that nobody named', async () => {
      peer.issuer = 'https://login.example'
      await assert.rejects(sit({ as: 'person' }, nobody), /https:\/\/login\.example is not named for this MCP server/)
      assert.equal(file.read().tokens, undefined)
    })

    it('is at an authorization server that calls itself otherwise than it was found, where that name was written down', async () => {
      peer.calls = `${peer.url}/oauth`
      await assert.rejects(sit({ as: 'person' }, nobody), /Issuer mismatch/)
      assert.deepEqual(sent(peer), [])
      const login: PersonsLogin = { as: 'person', issuer: peer.calls }
      await sit(login)
      await serve(login)
      assert.equal(await whoami(), 'anna')
      peer.expire()
      assert.equal(await whoami(), 'anna', 'it is renewed there')
      assert.deepEqual(sent(peer), ['/register', '/authorize', '/token', '/token'])
    })

    it('sends nothing to one that is not of that name, or only borrows it', async () => {
      const named: PersonsLogin = { as: 'person', client: 'mesh-7', issuer: 'https://login.example' }
      file.change({ secret })
      await assert.rejects(
        sit(named, nobody),
        /it calls itself https:\/\/localhost:\d+, and not https:\/\/login\.example/,
      )
      peer.calls = 'https://login.example/other'
      await assert.rejects(sit(named, nobody), /and not https:\/\/login\.example\./)
      peer.calls = 'https://login.example'
      await assert.rejects(
        sit(named, nobody),
        /calls itself https:\/\/login\.example, and would be asked at https:\/\/local/,
      )
      assert.deepEqual(sent(peer), [])
      assert.equal(file.read().discovery, undefined)
    })

    it('has no secret for a server of which nobody has said that it is for it', async () => {
      file.change({ secret })
      await assert.rejects(sit({ as: 'person', client: 'mesh-7' }, nobody), /which authorization server the secret/)
      assert.deepEqual(sent(peer), [])
      const named: PersonsLogin = { as: 'person', client: 'mesh-7', issuer: peer.calls }
      await sit(named)
      assert.deepEqual(sent(peer), ['/authorize', '/token'])
    })

    it('is not renewed at one that is not named any more', async () => {
      await serve({ as: 'person' })
      await sit({ as: 'person' })
      assert.equal(await whoami(), 'anna')
      const before = sent(peer)
      await box.stop(mcpName('wiki'))
      peer.expire()
      await serve({ as: 'person', issuer: 'https://login.example' })
      await assert.rejects(whoami(), /The authorization server is not the one that is named/)
      assert.deepEqual(sent(peer), before)
    })
  })

  describe('of a person of an organisation', () => {
    const employee = (): LoginOf<'employee'> => ({
      as: 'employee',
      client: 'mesh-7',
      issuer: peer.url,
      idp: { issuer: organisation.url, client: organisation.client },
    })
    const giveSecrets = () => file.change({ secret, identity: { ...employee().idp, secret: organisation.secret } })

    it('is by its identity provider, which hears nothing of the server’s, and the server nothing of its', async () => {
      giveSecrets()
      await serve(employee())
      await assert.rejects(whoami(), /wiki asks for a login/)
      await sit(employee())
      assert.equal(await whoami(), 'anna')
      const { idToken = '', refreshToken = '' } = file.read().identity ?? {}
      const basic = Buffer.from(`mesh-7:${secret}`).toString('base64')
      for (const theirs of [idToken, refreshToken, organisation.secret])
        assert.ok(theirs !== '' && !peer.told.some((each) => each.includes(theirs)))
      assert.ok(peer.told.some((each) => each.includes(basic)))
      for (const theirs of [basic, secret]) assert.ok(!organisation.told.some((each) => each.includes(theirs)))
    })

    it('is renewed when it has run out, once for all calls, until the provider does so no more', async () => {
      giveSecrets()
      organisation.lasts = 50
      await serve(employee())
      await sit(employee())
      assert.deepEqual(await Promise.all([whoami(), whoami()]), ['anna', 'anna'])
      const { identity: short } = file.read()
      assert.ok(short)
      file.change({ identity: { ...short, refreshToken: undefined } })
      peer.expire()
      assert.equal(await whoami(), 'anna', 'what cannot be renewed is good to its end')
      file.change({ identity: short })
      organisation.lasts = 3600
      const before = organisation.renewals
      peer.expire()
      assert.deepEqual(await Promise.all([whoami(), whoami(), whoami()]), ['anna', 'anna', 'anna'])
      peer.expire()
      assert.equal(await whoami(), 'anna', 'the renewed one is good')
      assert.equal(organisation.renewals, before + 1)
      const { identity } = file.read()
      assert.ok(identity)
      file.change({ identity: { ...identity, idToken: 'of another time' } })
      organisation.forget()
      peer.expire()
      assert.match(await whoami(), /wiki asks for a login/)
    })

    it('is not waited for without an end where its provider does not answer, and is asked for anew', async () => {
      let asked = 0
      const silent = createServer(() => {
        asked += 1
      })
      await once(silent.listen(0, '127.0.0.1'), 'listening')
      const url = `https://127.0.0.1:${(silent.address() as AddressInfo).port}`
      const idp = { issuer: url, client: 'clawmesh' }
      file.change({ identity: { ...idp, idToken: 'of another time', refreshToken: 'good' } })
      const fetch = fetchOf({ url, runs: 'elsewhere', addresses: ['127.0.0.1'] }, resolver())
      const identity = new Identity('wiki', idp, file, fetch, 200)
      const wanted = { audience: peer.url, resource: reached().url }
      for (const _ of [1, 2]) await assert.rejects(identity.grant(wanted), { code: 'UNREACHABLE' })
      assert.equal(asked, 2)
      silent.close()
    })

    it('ends with the logging out, and is another’s when another logs in', async () => {
      giveSecrets()
      await serve(employee())
      await sit(employee())
      assert.equal(await whoami(), 'anna')
      organisation.person = 'berta'
      await sit(employee())
      assert.equal(await whoami(), 'berta')
      file.remove()
      assert.match(await whoami(), /wiki asks for a login/)
      giveSecrets()
      await sit(employee())
      assert.equal(await whoami(), 'berta')
      organisation.lasts = 30
      await sit(employee())
      peer.expire()
      organisation.renews = (person) => {
        file.remove()
        return person
      }
      assert.match(await whoami(), /wiki asks for a login/, 'also while it is renewed')
      assert.deepEqual(file.read(), {})
    })

    it('is worth nothing where another identity provider or client is named by now', async () => {
      giveSecrets()
      await sit(employee())
      const asked = sent(organisation)
      await serve({ ...employee(), idp: { ...employee().idp, client: 'another' } })
      await assert.rejects(whoami(), /wiki asks for a login/)
      assert.deepEqual(sent(organisation), asked)
    })

    it('is refused in words where the provider lets the person use no such thing, or the server is another', async () => {
      giveSecrets()
      organisation.allows = false
      await assert.rejects(sit(employee()), /gives no grant for https:\/\/localhost:\d+\/mcp: .*access_denied/)
      const asked = sent(organisation)
      organisation.allows = true
      await serve({ ...employee(), issuer: 'https://login.example' })
      await assert.rejects(whoami(), /wiki could not be logged into/)
      assert.deepEqual([sent(peer), sent(organisation)], [[], asked])
    })

    it('is taken from nobody who calls himself otherwise, or says who a person is to somebody else', async () => {
      giveSecrets()
      organisation.lasts = 30
      organisation.renews = () => 'berta'
      await assert.rejects(sit(employee()), /renews the login of another person/)
      giveSecrets()
      organisation.audience = 'another'
      await assert.rejects(sit(employee()), /is not said to this client/)
      assert.equal(file.read().identity?.idToken, undefined)
      const asked = sent(organisation)
      organisation.calls = 'https://idp.example'
      await assert.rejects(sit(employee(), nobody), /it calls itself https:\/\/idp\.example/)
      const elsewhere = { ...employee(), idp: { ...employee().idp, issuer: 'https://idp.example' } }
      await assert.rejects(sit(elsewhere, nobody), /https:\/\/idp\.example is not named for this MCP server/)
      assert.deepEqual(sent(organisation), asked)
    })
  })
})
