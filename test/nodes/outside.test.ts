/** Servers of another operator are looked at before a mesh begins on them. `npm run soak -- sites` runs whole meshes there. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { addressesOf } from '../../mesh/address.js'
import { BrokerAccounts } from '../../mesh/broker/accounts.js'
import { openBrokerKeys } from '../../mesh/broker/keys.js'
import { openAuthority } from '../../mesh/seal/authority.js'
import { Register } from '../../nodes/authority/register.js'
import { openOutside } from '../../nodes/outside.js'
import { ClawmeshError } from '../../policies/errors.js'
import { temporaryFolder } from '../kit/mesh.js'
import { OutsideNats, otherOperator } from '../kit/outside-nats.js'

describe('an outside NATS server', () => {
  const nats = new OutsideNats()
  const folder = temporaryFolder()
  const file = join(folder, 'outside.conf')
  let configuration: (guest?: string) => string[]

  before(async () => {
    configuration = await otherOperator()
  })
  after(async () => {
    rmSync(folder, { recursive: true, force: true })
    await nats.remove()
  })

  const open = () => {
    const authority = openAuthority(folder, Date.now())
    const addresses = addressesOf(authority.mesh, authority.meshKey)
    const accounts = new BrokerAccounts(openBrokerKeys(folder), addresses)
    return openOutside([nats.url], folder, { authority, addresses, accounts, register: new Register(folder) })
  }
  const refuses = (code: string, pattern: RegExp) =>
    assert.rejects(open(), (error) => {
      assert.ok(error instanceof ClawmeshError && error.code === code, String(error))
      assert.match(`${error.message} ${error.hint}`, pattern)
      return true
    })

  it('that does not know the mesh is refused, and its operator is told what to add', async () => {
    await nats.start([...configuration(), nats.store()])
    await refuses('DENIED', /do not know this mesh.*outside\.conf/)
    assert.doesNotMatch(readFileSync(file, 'utf8'), /\bS[AUO][A-Z2-7]{56}\b/, 'no seed leaves the machine')
  })

  it('that knows the mesh and keeps no streams is refused, with all that is missing', async () => {
    await nats.stop()
    await nats.start([...configuration(file), 'max_payload: 64KB'])
    await refuses('BROKER_UNAVAILABLE', /max_payload must be 1MB; JetStream is not enabled for the mesh account/)
  })
})
