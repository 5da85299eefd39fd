import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { createUser, fromSeed } from '@nats-io/nkeys'
import type { NatsConnection } from '@nats-io/transport-node'
import { type Addresses, addressesOf } from '../../../mesh/address.js'
import type { BrokerUser } from '../../../mesh/broker/accounts.js'
import { seedOf } from '../../../mesh/broker/keys.js'
import { writeJoinerToken } from '../../../mesh/broker/token.js'
import { enrol } from '../../../mesh/seal/credentials.js'
import { connectNats } from '../../../mesh/transport/nats.js'
import { eventually } from '../../kit/eventually.js'
import { type NatsMesh, natsMesh, temporaryFolder } from '../../kit/mesh.js'

describe('the embedded broker', () => {
  let mesh: NatsMesh
  before(async () => {
    mesh = await natsMesh()
  })
  after(() => mesh.close())

  const serversOf = (folder: string) =>
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => commandOf(Number(pid)).includes(join(folder, 'nats-server.conf')))
      .map(Number)
      .filter((pid) => !commandOf(pid).includes('clawmesh-guard'))

  it('is started again after kill -9, on the same port and with what it stored', async () => {
    const node = await mesh.join('writer')
    const event = { kind: 'thought.asked' as const, trace: 'task', actor: 'writer', facts: {} }
    await node.audit.intend(event)
    const { pid, url } = mesh.broker
    process.kill(pid, 'SIGKILL')
    await eventually(() => assert.notEqual(mesh.broker.pid, pid))
    await node.audit.intend(event)
    assert.equal(mesh.broker.url, url)
    const { auditStream } = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const operator = await mesh.connectAsAuditor()
    let stored = 0
    for await (const { bytes } of operator.log(auditStream).read()) stored += bytes.length > 0 ? 1 : 0
    await operator.close()
    assert.ok(stored >= 2, `${stored} messages`)
  })

  it('is one server again after the shell that guards it was killed', async () => {
    const { pid } = mesh.broker
    process.kill(parentOf(pid), 'SIGKILL')
    await eventually(() => {
      assert.notEqual(mesh.broker.pid, pid)
      assert.deepEqual(serversOf(mesh.folder), [mesh.broker.pid])
    })
    const again = await mesh.connectAsAuthority()
    await again.close()
  })

  it('ends with the process that started it, even by kill -9', async () => {
    const folder = temporaryFolder()
    const host = spawn(process.execPath, [fileURLToPath(new URL('./broker-host.js', import.meta.url)), folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const pid = await new Promise<number>((resolve, reject) => {
      host.stdout.once('data', (chunk) => resolve(Number(String(chunk))))
      host.once('exit', () => reject(new Error('the host ended')))
    })
    assert.deepEqual(serversOf(folder), [pid])
    host.kill('SIGKILL')
    await eventually(() => assert.equal(commandOf(pid), ''))
    rmSync(folder, { recursive: true, force: true })
  })

  it('writes where it listens into a file, and listens on loopback only', () => {
    const [file = ''] = readdirSync(join(mesh.folder, 'ports'))
    const { nats } = JSON.parse(readFileSync(join(mesh.folder, 'ports', file), 'utf8'))
    assert.deepEqual(nats, [mesh.broker.url])
    assert.match(mesh.broker.url, /^nats:\/\/127\.0\.0\.1:\d+$/)
  })
})

describe('what a member may do on the broker', () => {
  let mesh: NatsMesh
  let addresses: Addresses
  let member: NatsConnection
  let errors: string[]
  let holder: string
  let user: BrokerUser

  before(async () => {
    mesh = await natsMesh()
    addresses = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const credentials = enrol(mesh.authority, { name: 'member', roles: ['worker'] }, Date.now())
    holder = credentials.certificate.holder
    user = await mesh.memberUser(credentials)
    member = await mesh.plain(user)
    errors = []
    void (async () => {
      for await (const status of member.status()) if (status.type === 'error') errors.push(status.error.message)
    })()
  })
  after(async () => {
    await member.close()
    await mesh.close()
  })

  const streams = () => [addresses.auditStream, `KV_${addresses.directory}`]

  it('is not to change, empty or remove a stream', async () => {
    for (const stream of streams()) {
      for (const verb of ['DELETE', 'PURGE', 'UPDATE', 'MSG.DELETE', 'SNAPSHOT', 'RESTORE', 'LEADER.STEPDOWN']) {
        const subject = `$JS.API.STREAM.${verb}.${stream}`
        member.publish(subject, '{}')
        await member.flush()
        await eventually(() =>
          assert.ok(
            errors.some((text) => text.includes(`"${subject}"`)),
            `${subject} was let through`,
          ),
        )
      }
    }
    for (const [account, stream] of [
      ['audit', addresses.auditStream],
      ['mesh', `KV_${addresses.directory}`],
    ] as const) {
      const operator = await mesh.plain(await mesh.accounts.administrator(account))
      const manager = await jetstreamManager(operator)
      assert.equal((await manager.streams.info(stream)).config.name, stream)
      await operator.close()
    }
  })

  it('is not to read the audit stream', async () => {
    const manager = await jetstreamManager(member, { checkAPI: false, timeout: 1000 })
    await assert.rejects(manager.streams.getMessage(addresses.auditStream, { seq: 1 }))
    await assert.rejects(jetstream(member).consumers.get(addresses.auditStream))
    await assert.rejects(manager.consumers.add(addresses.auditStream, { name: 'spy' }))
  })

  it('is not to listen outside its subjects', async () => {
    const another = '0'.repeat(32)
    const others = [addresses.inboxes, addresses.inboxesOf(another), `${addresses.repliesTo('another')}.>`]
    others.push(addresses.rooms, addresses.roomsOf(another), addresses.room(another, another, holder))
    const all = ['>', '*', '$SYS.>', '$JS.>', '$KV.>', '_INBOX.>', addresses.enrolment, addresses.auditSubjects]
    for (const subject of [...all, ...others]) assert.match(await refusal(member, subject), /permission/i, subject)
  })

  it('is not to write in the name of another', async () => {
    const kv = `$KV.${addresses.directory}`
    for (const subject of [
      addresses.audit('0'.repeat(32)),
      `${kv}.${addresses.nodeKey('another')}`,
      `${kv}.${addresses.revokedKey}`,
      addresses.repliesTo('another'),
      addresses.room('0'.repeat(32), '1'.repeat(32), '0'.repeat(32)),
    ]) {
      member.publish(subject, 'x')
      await member.flush()
      await eventually(() =>
        assert.ok(
          errors.some((text) => text.includes(`"${subject}"`)),
          `${subject} was let through`,
        ),
      )
    }
    // Its own it may: the audit stream answers, through the service of another account, and keeps a repetition once.
    const publish = () => jetstream(member).publish(addresses.audit(holder), 'x', { msgID: 'once', timeout: 30_000 })
    assert.equal((await publish()).duplicate, false)
    assert.equal((await publish()).duplicate, true)
  })

  it('is cut off at once when its user is revoked, and does not come back', async () => {
    const other = await mesh.plain(user)
    const cut = (async () => {
      for await (const { type } of other.status()) if (type === 'disconnect') return
    })()
    const [system, key] = [
      await mesh.plain(await mesh.accounts.administrator('system')),
      fromSeed(Buffer.from(user.seed)),
    ]
    const revoked = { [key.getPublicKey()]: Math.ceil(Date.now() / 1000) }
    await system.request('$SYS.REQ.CLAIMS.UPDATE', await mesh.accounts.meshToken(revoked), { timeout: 30_000 })
    await cut
    assert.match(String(await other.closed()), /authorization/i)
    await assert.rejects(mesh.plain(user), /authorization/i)
    const member = await mesh.connect()
    await member.close()
    await system.close()
  })

  it('is to come in though it stood still when it was asked who it is', async () => {
    const credentials = enrol(mesh.authority, { name: 'sleeper', roles: ['worker'] }, Date.now())
    const options = { servers: mesh.brokers.urls, user: await mesh.memberUser(credentials), name: 'sleeper' }
    const connecting = connectNats(options)
    await new Promise(setImmediate)
    // By then the broker waits no longer, and says so as it says to one who is not who he says.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2200)
    const connection = await connecting
    await connection.close()
  })

  it('is a short question to the authority and nothing else for one who holds an invitation', async () => {
    const key = createUser()
    const claims = { name: 'a'.repeat(32), publicKey: key.getPublicKey() }
    const issuedAt = Math.floor(Date.now() / 1000)
    const sign = (expires: number) => mesh.accounts.joinerToken(claims.name, claims.publicKey, issuedAt, expires)
    const userUntil = (expires: number) => {
      const token = sign(expires)
      return {
        token: writeJoinerToken({ ...claims, account: mesh.accounts.account, issuedAt, expires }, token),
        seed: seedOf(key),
        inbox: addresses.repliesTo(claims.name),
      }
    }
    const joiner = await mesh.plain(userUntil(issuedAt + 60))
    for (const subject of ['>', addresses.traffic, addresses.inboxes, '$KV.>', '_INBOX.>', addresses.enrolment])
      assert.match(await refusal(joiner, subject), /permission/i, subject)
    const said: string[] = []
    void (async () => {
      for await (const status of joiner.status()) if (status.type === 'error') said.push(status.error.message)
    })()
    for (const subject of [addresses.inboxesOf(holder).replace('*', 'x'), addresses.audit(holder), '$JS.API.INFO']) {
      joiner.publish(subject, 'x')
      await joiner.flush()
      await eventually(() =>
        assert.ok(
          said.some((text) => text.includes(`"${subject}"`)),
          `${subject} was let through`,
        ),
      )
    }
    const authority = await mesh.connectAsAuthority()
    await authority.answer(addresses.enrolment, async (question) => question)
    assert.equal((await joiner.request(addresses.enrolment, 'hello', { timeout: 30_000 })).string(), 'hello')
    await joiner.close()
    await authority.close()
    await assert.rejects(mesh.plain(userUntil(issuedAt - 1)), /authorization/i)
  })
})

/** Why the broker does not let somebody listen; empty if it does. */
async function refusal(connection: NatsConnection, subject: string): Promise<string> {
  const refused = new Promise<string>((resolve) => {
    const subscription = connection.subscribe(subject, { callback: (error) => resolve(error?.message ?? '') })
    void connection.flush().then(() =>
      setTimeout(() => {
        subscription.unsubscribe()
        resolve('')
      }, 500).unref(),
    )
  })
  return refused
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
}
