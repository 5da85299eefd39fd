import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, type NatsConnection, nkeyAuthenticator } from '@nats-io/transport-node'
import { type Addresses, addressesOf } from '../../../mesh/address.js'
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
    const operator = await mesh.connectAsAuthority()
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

  before(async () => {
    mesh = await natsMesh()
    addresses = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const authenticator = nkeyAuthenticator(new TextEncoder().encode(mesh.memberSeed))
    member = await connect({ servers: [mesh.broker.url], authenticator })
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
    const operator = await connect({
      servers: [mesh.broker.url],
      authenticator: nkeyAuthenticator(new TextEncoder().encode(mesh.authoritySeed)),
    })
    const manager = await jetstreamManager(operator)
    for (const stream of streams()) assert.equal((await manager.streams.info(stream)).config.name, stream)
    await operator.close()
  })

  it('is not to read the audit stream', async () => {
    const manager = await jetstreamManager(member, { checkAPI: false, timeout: 1000 })
    await assert.rejects(manager.streams.getMessage(addresses.auditStream, { seq: 1 }))
    await assert.rejects(jetstream(member).consumers.get(addresses.auditStream))
    await assert.rejects(manager.consumers.add(addresses.auditStream, { name: 'spy' }))
  })

  it('is not to listen outside its subjects', async () => {
    for (const subject of ['>', '*', '$SYS.>', '$JS.>', '$KV.>', addresses.auditSubjects]) {
      const refused = new Promise<Error | null>((resolve) =>
        member.subscribe(subject, { callback: (error) => resolve(error) }),
      )
      assert.match((await refused)?.message ?? '', /permission/i, subject)
    }
  })
})

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
