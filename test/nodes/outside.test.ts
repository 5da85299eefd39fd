/** A mesh on NATS servers of another operator, by the shipped commands. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { eventually } from '../kit/eventually.js'
import { OutsideNats, otherOperator } from '../kit/outside-nats.js'
import { run } from './command.js'
import { Machine } from './machine.js'

describe('an outside NATS server', () => {
  const nats = new OutsideNats()
  const [home, guest] = [new Machine(), new Machine()]
  const file = join(home.data, 'authority', 'outside.conf')
  let configuration: (guest?: string) => string[]

  before(async () => {
    configuration = await otherOperator()
  })
  after(async () => {
    for (const machine of [guest, home]) await machine.remove()
    await nats.remove()
  })

  const up = () => run(['up', '--nats', nats.url, '--data', home.data, '--model', 'shipped']).ended

  it('that does not know the mesh is refused, and its operator is told what to add', async () => {
    await nats.start([...configuration(), nats.store()])
    const { status, error } = await up()
    assert.equal(status, 3)
    assert.match(error.join(' '), /do not know this mesh.*outside\.conf/)
    assert.doesNotMatch(readFileSync(file, 'utf8'), /\bS[AUO][A-Z2-7]{56}\b/, 'no seed leaves the machine')
  })

  it('that knows the mesh and keeps no streams is refused, with all that is missing', async () => {
    await nats.stop()
    await nats.start([...configuration(file), 'max_payload: 64KB'])
    const { status, error } = await up()
    assert.equal(status, 4)
    assert.match(error.join(' '), /max_payload must be 1MB; JetStream is not enabled for the mesh account/)
  })

  it('carries the mesh: another machine joins by a string that names it, and is revoked', async () => {
    await nats.stop()
    await nats.start([...configuration(file), nats.store()])
    await home.up('--nats', nats.url, '--name', 'home')
    await guest.join(await home.invite(), '--name', 'guest')
    assert.deepEqual(await home.names(), ['guest', 'home', 'operator'])
    const before = readFileSync(file, 'utf8')
    const { status, stderr } = await home.do('revoke', 'guest')
    assert.equal(status, 0, stderr)
    assert.match(stderr, /let it in until whoever runs them takes over the changed .*outside\.conf/)
    assert.notEqual(readFileSync(file, 'utf8'), before)
    await eventually(async () => assert.deepEqual(await home.names(), ['home', 'operator']))
    await home.stop()
    const { status: verified, stdout } = await home.do('audit', 'verify', '--json')
    assert.deepEqual([verified, (JSON.parse(stdout) as { ok: boolean }).ok], [0, true])
  })
})
