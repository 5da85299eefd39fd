/** Addresses that names may lead to, and the DNS as a sandbox hears it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { pbkdf2 } from 'node:crypto'
import { copyFile, truncate } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { mock, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { promisify } from 'node:util'
import { executedBy } from '../../sandbox/egress/executed.js'
import { objectionTo, readHello } from '../../sandbox/egress/hello.js'
import { Names } from '../../sandbox/egress/names.js'
import { resolver } from '../../sandbox/egress/resolve.js'
import { newStage } from './stage.js'

const question = (name: string, type = 1): Buffer => {
  const labels = name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)]))
  const head = Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, type, 0, 1])])
}
const codeOf = (reply: Buffer | undefined) => reply && [(reply[3] ?? 0) & 15, reply.readUInt16BE(6)]

test('a name that may be used has one address that means it alone; any other has none', () => {
  const names = new Names()
  const isUsable = (host: string) => host.endsWith('.example.org')
  const reply = names.reply(question('A.Example.ORG'), isUsable)
  assert.equal(reply?.subarray(0, 2).toString('hex'), '1234')
  assert.equal(reply?.subarray(-4).join('.'), '127.1.0.1')
  assert.equal(names.hostOf('127.1.0.1'), 'a.example.org')
  assert.equal(names.addressOf('a.example.org'), '127.1.0.1')
  assert.equal(names.reply(question('b.example.org'), isUsable)?.subarray(-4).join('.'), '127.1.0.2')
  assert.deepEqual(codeOf(names.reply(question('a.example.org', 28), isUsable)), [0, 0], 'no address of version 6')
  assert.deepEqual(codeOf(names.reply(question('a.example.org', 16), isUsable)), [0, 0], 'no text')
  assert.deepEqual(codeOf(names.reply(question('a.example.com'), isUsable)), [3, 0])
  assert.deepEqual(codeOf(names.reply(question('a b.example.org'), isUsable)), [3, 0])
})

test('what is no question is not answered, or answered as malformed, and never thrown at', () => {
  const names = new Names()
  const whole = question('a.example.org')
  assert.equal(
    names.reply(Buffer.alloc(11), () => true),
    undefined,
  )
  const answer = Buffer.from(whole)
  answer[2] = 0x81
  assert.equal(
    names.reply(answer, () => true),
    undefined,
    'an answer gets none',
  )
  const looped = Buffer.concat([whole.subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])])
  assert.deepEqual(codeOf(names.reply(looped, () => true)), [1, 0])
  for (let length = 12; length < whole.length; length += 1)
    assert.deepEqual(codeOf(names.reply(whole.subarray(0, length), () => true)), [1, 0], `${length}`)
  let state = 1
  for (let round = 0; round < 2000; round += 1) {
    const spoilt = Buffer.from(whole)
    for (let times = 0; times < 3; times += 1) {
      state = (state * 1103515245 + 12345) & 0x7fffffff
      spoilt[state % spoilt.length] = (state >> 8) & 0xff
    }
    names.reply(spoilt, (host) => /^[a-z0-9._-]+$/.test(host))
  }
})

test('of names that the machine is slow with, two are asked for at once; what waits too long leads nowhere', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    // Every thread on which a name could be asked for is busy; such names ask nobody outside.
    const busy = Array.from({ length: 4 }, () => promisify(pbkdf2)('', '', 150_000, 64, 'sha512'))
    const resolve = resolver()
    const found = Array.from({ length: 50 }, (_, index) => resolve(`127.${index + 1}`))
    await new Promise(setImmediate)
    const asked = process.getActiveResourcesInfo().filter((each) => each === 'GetAddrInfoReqWrap')
    assert.equal(asked.length, 2)
    mock.timers.tick(10_000)
    assert.deepEqual(await Promise.all(found.slice(2)), Array(48).fill([]))
    const after = ['127.60', '127.61', '127.62'].map(resolve)
    await Promise.all(busy)
    assert.deepEqual(await Promise.all([...found.slice(0, 2), ...after]), [
      ['127.0.0.1'],
      ['127.0.0.2'],
      ['127.0.0.60'],
      ['127.0.0.61'],
      ['127.0.0.62'],
    ])
  } finally {
    mock.timers.reset()
  }
})

test('a program that is too large to be read is refused, and so is one more than can be kept apart', async () => {
  const { folder } = await newStage()
  const start = async (name: string, bytes?: number) => {
    const path = join(folder, name)
    await copyFile('/bin/sleep', path)
    if (bytes !== undefined) await truncate(path, bytes)
    const child = spawn(path, ['60'], { stdio: 'ignore' })
    child.unref()
    const { pid = 0 } = child
    process.once('exit', () => child.kill())
    return { path, pid }
  }
  const large = await start('large', 2 ** 30 + 1)
  await assert.rejects(executedBy(large.pid), { code: 'DENIED', message: /large is larger than the 1073741824 bytes/ })
  const [first, second] = [await start('first'), await start('second')]
  const { path, sha256 } = await executedBy(first.pid, 1)
  assert.equal(path, first.path)
  await assert.rejects(executedBy(second.pid, 1), { code: 'DENIED', message: /second is one program more than the 1 / })
  assert.equal((await executedBy(first.pid, 1)).sha256, sha256, 'what is known stays so')
})

/** What this Node says first when it connects by TLS. */
async function realHello(servername?: string): Promise<Buffer> {
  const server = createServer()
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
  const first = new Promise<Buffer>((told) => server.once('connection', (socket) => socket.once('data', told)))
  const { port } = server.address() as AddressInfo
  const client = connectTls({ port, host: '127.0.0.1', ...(servername && { servername }) })
  client.on('error', () => undefined)
  const hello = await first
  client.destroy()
  server.close()
  return hello
}

test('the name that a program asks for by TLS has to be the one that was decided on', async () => {
  const bytes = await realHello('Docs.example.org')
  const hello = readHello(bytes)
  assert.ok(hello.kind === 'hello')
  assert.deepEqual(hello, { kind: 'hello', length: bytes.length, name: 'docs.example.org', isEncrypted: false })
  assert.equal(objectionTo(hello, 'docs.example.org'), undefined)
  assert.match(objectionTo(hello, 'other.example.org') ?? '', /asks for docs\.example\.org/)
  assert.match(objectionTo(hello, '10.0.0.1') ?? '', /no name was allowed/)
  assert.match(objectionTo({ ...hello, isEncrypted: true }, 'docs.example.org') ?? '', /Encrypted ClientHello/)
  const nameless = readHello(await realHello())
  assert.ok(nameless.kind === 'hello')
  assert.match(objectionTo(nameless, 'docs.example.org') ?? '', /no name/)
  assert.equal(objectionTo(nameless, '10.0.0.1'), undefined)
})

test('a hello is read whole or not at all: cut anywhere it is not there yet, and no byte of it makes it another', async () => {
  const bytes = await realHello('docs.example.org')
  for (let length = 0; length < bytes.length; length += 1)
    assert.equal(readHello(bytes.subarray(0, length)).kind, 'more', `${length}`)
  const pieces = [bytes.subarray(5, 40), bytes.subarray(40)].flatMap((piece) => {
    const head = Buffer.from(bytes.subarray(0, 5))
    head.writeUInt16BE(piece.length, 3)
    return [head, piece]
  })
  assert.deepEqual(readHello(Buffer.concat(pieces)), { ...readHello(bytes), length: bytes.length + 5 })
  assert.equal(readHello(Buffer.from('GET / HTTP/1.1\r\n')).kind, 'none')
  // A longer record than its message, then nothing but the end of it missing: neither is taken for a hello with a name.
  const longer = Buffer.concat([bytes, Buffer.from('x')])
  longer.writeUInt16BE(bytes.length - 5 + 1, 3)
  assert.equal(readHello(longer).kind, 'none')
  for (let at = 0; at < bytes.length; at += 1)
    for (const value of [0, 1, 0x7f, 0xff]) {
      const spoilt = Buffer.from(bytes)
      spoilt[at] = value
      const read = readHello(spoilt)
      if (read.kind === 'hello' && read.name !== undefined) assert.match(read.name, /^[a-z0-9._-]+$/)
    }
})
