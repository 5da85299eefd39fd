/** A gateway beyond loopback, as a client sees it that checks certificates. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type RequestOptions, request } from 'node:https'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openGatewayTls } from '../../../../nodes/authority/gateway-tls.js'
import { parseGatewayAddress, parseGatewayListen } from '../../../../nodes/gateway/http/address.js'
import { readTls } from '../../../../nodes/gateway/http/tls.js'
import { ClawmeshError } from '../../../../policies/errors.js'
import { temporaryFolder } from '../../../kit/mesh.js'
import { ask, openStand, type Stand } from '../stand.js'

const usage = (why: RegExp) => (error: unknown) =>
  error instanceof ClawmeshError && error.code === 'USAGE' && why.test(error.message)

describe('a gateway over TLS', () => {
  const folder = temporaryFolder()
  const others = ['mesh.example', '2001:db8::7']
  const made = openGatewayTls(folder, 'm', { host: '192.0.2.7', others, now: Date.now() })
  let stand: Stand
  let port: string
  before(async () => {
    stand = await openStand()
    port = new URL((await stand.open({}, made)).url).port
  })
  after(async () => {
    await stand?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const get = (options: RequestOptions, headers: Record<string, string> = {}) =>
    new Promise<number>((resolve, reject) => {
      const ca = readFileSync(made.authority)
      const all = { authorization: `Bearer ${stand.keyOf.viewer}`, ...headers }
      const call = request({ host: '127.0.0.1', port, path: '/v1/models', agent: false, ca, headers: all, ...options })
      call.once('error', reject)
      call.once('response', (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
      call.end()
    })

  it('shows a certificate of the mesh for each of its names, and answers to them', async () => {
    for (const host of ['localhost', 'mesh.example', '192.0.2.7', '[2001:db8::7]'])
      assert.equal(
        await get({ servername: /^[a-z.]+$/.test(host) ? host : '', checkServerIdentity: () => undefined }, { host }),
        200,
        host,
      )
    assert.equal(await get({}), 200, 'by its address, checked as every client checks it')
    const leaf = new X509Certificate(made.certificate)
    assert.equal(leaf.checkIP('2001:db8::7'), '2001:db8::7')
    assert.equal(leaf.checkHost('mesh.example'), 'mesh.example')
    assert.equal(statSync(join(folder, 'gateway-tls.json')).mode & 0o777, 0o600)
  })

  it('keeps its authority: who trusts it once goes on to', () => {
    const again = openGatewayTls(folder, 'm', { host: '192.0.2.7', others: [], now: Date.now() })
    assert.ok(
      new X509Certificate(again.certificate).verify(new X509Certificate(readFileSync(made.authority)).publicKey),
    )
  })

  it('refuses names that are not in it, other origins, those who trust somebody else, and plain HTTP', async () => {
    assert.equal(await get({ checkServerIdentity: () => undefined }, { host: 'evil.example' }), 403)
    assert.equal(await get({}, { host: 'localhost', origin: 'http://localhost' }), 403)
    assert.equal(await get({}, { host: 'localhost', origin: 'https://localhost' }), 200)
    await assert.rejects(get({ ca: [] }), /self-signed|unable to/)
    await assert.rejects(get({}, { host: 'evil.example' }), /altnames/)
    await assert.rejects(get({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }))
    await assert.rejects(ask(`http://127.0.0.1:${port}`, '/healthz'))
  })

  it('takes files that belong together, and says what is wrong with others', () => {
    const [certificate, key, other] = ['a.crt', 'a.key', 'b.key'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ]
    writeFileSync(certificate, made.certificate)
    writeFileSync(key, made.key)
    writeFileSync(other, openGatewayTls(folder, 'm', { host: '::', others: [], now: Date.now() }).key)
    assert.deepEqual(readTls(certificate, key, Date.now()), { certificate: made.certificate, key: made.key })
    assert.throws(() => readTls(certificate, other, Date.now()), usage(/not the key of/))
    assert.throws(() => readTls(certificate, key, Date.now() + 400 * 86_400_000), usage(/is good from/))
    assert.throws(() => readTls(key, key, Date.now()), usage(/cannot be used for TLS/))
    assert.throws(() => readTls(join(folder, 'none'), key, Date.now()), usage(/ENOENT/))
  })

  it('is the only one beyond this machine', () => {
    assert.deepEqual(parseGatewayListen('0.0.0.0:8443'), { host: '0.0.0.0', port: 8443 })
    assert.throws(() => parseGatewayAddress('0.0.0.0:8443'), usage(/without TLS/))
  })
})
