/** What a gateway is sent by those who mean no good, or cannot do better: each gets a clear answer, and the next one is served. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { after, afterEach, before, describe, it } from 'node:test'
import type { AuditEvent } from '../../../../mesh/audit/event.js'
import { log } from '../../../../nodes/log.js'
import { eventually } from '../../../kit/eventually.js'
import { fuzzChat, sum } from '../fuzz.js'
import { ask, errorOf, errorSchema, openStand, type Stand, shipped } from '../stand.js'

const good = { model: shipped, messages: [{ role: 'user', content: '12 + 7' }], temperature: 0, max_tokens: 16 }

describe('a gateway that is abused', () => {
  let stand: Stand
  before(async () => {
    stand = await openStand()
  })
  after(() => stand?.close())
  afterEach(async () => {
    assert.equal((await post(stand.url, good)).status, 200, 'it serves nobody any more')
  })

  const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
    ask(url, '/v1/chat/completions', { method: 'POST', key: stand.keyOf.developer, body, headers })

  it('says of a body what is wrong with it', async () => {
    const cases: [string | Uint8Array, Record<string, string>, number][] = [
      ['{"model":', {}, 400],
      ['', {}, 400],
      ['null', {}, 400],
      ['[]', {}, 400],
      ['"text"', {}, 400],
      [new Uint8Array([0xff, 0xfe, 0x00]), {}, 400],
      ['{"__proto__": {"x": 1}}', {}, 400],
      ['['.repeat(100_000), {}, 400],
      [JSON.stringify(good), { 'content-type': 'text/plain' }, 415],
      [JSON.stringify(good), { 'content-type': 'multipart/form-data' }, 415],
      [JSON.stringify({ ...good, user: 'x'.repeat(1024 * 1024) }), {}, 413],
    ]
    for (const [body, headers, status] of cases) {
      const reply = await post(stand.url, body, headers)
      assert.equal(reply.status, status, reply.text)
      errorOf(reply)
    }
  })

  it('does not read a huge body to its end', async () => {
    const { text } = await raw(stand.url, (url) => [
      `POST /v1/chat/completions HTTP/1.1\r\nhost: ${url.host}\r\nauthorization: Bearer ${stand.keyOf.developer}\r\n` +
        'content-type: application/json\r\ncontent-length: 900000000000\r\n\r\n{',
    ])
    assert.match(text, /^HTTP\/1\.1 413 /)
  })

  it('reads no body of somebody who has no key', async () => {
    const { text } = await raw(stand.url, (url) => [
      `POST /v1/chat/completions HTTP/1.1\r\nhost: ${url.host}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n`,
    ])
    assert.match(text, /^HTTP\/1\.1 401 /)
  })

  it('gives up on one that never comes to the end of its head, or of its body', async () => {
    const gateway = await stand.open({ headMs: 200, requestMs: 400 })
    for (const sent of [
      'GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ',
      'POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n' +
        `authorization: Bearer ${stand.keyOf.developer}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{`,
    ]) {
      const { text } = await raw(gateway.url, () => [sent])
      assert.match(text, /^HTTP\/1\.1 408 /)
    }
    // So little patience may be too little for an honest request as well.
    await eventually(async () => assert.equal((await ask(gateway.url, '/healthz')).status, 200))
  })

  it('holds each key to its rate, and no other for it', async () => {
    const gateway = await stand.open({ rate: { burst: 5, perSecond: 0.001 } })
    const statuses = []
    for (let i = 0; i < 7; i++)
      statuses.push((await ask(gateway.url, '/v1/models', { key: stand.keyOf.viewer })).status)
    assert.deepEqual(statuses, [200, 200, 200, 200, 200, 429, 429])
    const reply = await ask(gateway.url, '/v1/models', { key: stand.keyOf.viewer })
    assert.equal(errorOf(reply).type, 'rate_limit_error')
    assert.ok(Number(reply.headers['retry-after']) > 0)
    assert.equal((await ask(gateway.url, '/v1/models', { key: stand.keyOf.admin })).status, 200)
  })

  it('lets nobody in with a key that was removed while the trail was told of it', async ({ mock }) => {
    const intend = stand.front.audit.intend.bind(stand.front.audit)
    mock.method(stand.front.audit, 'intend', async (event: AuditEvent) => {
      await intend(event)
      if (event.kind === 'key.added') stand.keys.remove('brief')
    })
    const key = stand.keys.add('brief', 'viewer', Date.now())
    const reply = await ask(stand.url, '/v1/models', { key })
    assert.equal(reply.status, 401, reply.text)
  })

  it('lets nobody in while its keys cannot be read, and its log says why', async ({ mock }) => {
    const logged = mock.method(log, 'error')
    const { file } = stand.keys
    const kept = JSON.stringify({ keys: stand.keys.list() })
    try {
      for (const damaged of ['', '{', '{"keys": [{}]}']) {
        writeFileSync(file, damaged)
        const reply = await ask(stand.url, '/v1/models', { key: stand.keyOf.admin })
        assert.equal(reply.status, 500)
        assert.ok(!errorOf(reply).message.includes(file))
        // Under this name alone an error is written out.
        assert.ok(Object(logged.mock.calls.at(-1)?.arguments[0]).err instanceof Error)
      }
    } finally {
      writeFileSync(file, kept)
    }
  })

  it('answers 300 random requests, nearly all malformed, and never fails itself', async () => {
    const outcomes = await fuzzChat(stand, 300, 8)
    assert.ok(sum(outcomes, (status) => status >= 400) > 250, JSON.stringify([...outcomes]))
  })

  it('goes by none of two hosts, though the first be its own', async () => {
    const { text } = await raw(stand.url, ({ host }) => [
      `GET /v1/whoami HTTP/1.1\r\nhost: ${host}\r\nhost: evil.example\r\nauthorization: Bearer ${stand.keyOf.admin}\r\nconnection: close\r\n\r\n`,
    ])
    assert.match(text, /^HTTP\/1\.1 400 /)
  })

  it('answers what is no HTTP too', async () => {
    for (const sent of [
      '\u0000\u0001\u0002\r\n\r\n',
      'GET\r\n\r\n',
      `GET / HTTP/1.1\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`,
    ]) {
      const { text } = await raw(stand.url, () => [sent])
      assert.match(text, /^HTTP\/1\.1 4\d\d /)
      errorSchema.parse(JSON.parse(text.split('\r\n\r\n')[1] ?? ''))
    }
  })
})

/** What comes back for these bytes until the other side ends the connection. */
function raw(at: string, bytes: (url: URL) => string[]): Promise<{ text: string }> {
  const url = new URL(at)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(url.port), url.hostname)
    let text = ''
    socket.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
    })
    socket.once('close', () => resolve({ text }))
    socket.once('error', (error) => (text === '' ? reject(error) : undefined))
    for (const piece of bytes(url)) socket.write(piece)
  })
}
