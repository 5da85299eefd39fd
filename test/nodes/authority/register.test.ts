/** What the authority remembers of its members: a key has one name, and its end is the end of all that it could do. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { type Member, Register } from '../../../nodes/authority/register.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { temporaryFolder } from '../../kit/mesh.js'

const denied = (error: unknown) => error instanceof ClawmeshError && error.code === 'DENIED'

describe('the register', () => {
  const folder = temporaryFolder()
  after(() => rmSync(folder, { recursive: true, force: true }))
  const register = new Register(folder)
  const member = (name: string, holder: string, brokerKey: string): Member => ({
    name,
    holder,
    roles: ['worker'],
    brokerKeys: [brokerKey],
    since: 1,
  })
  const invitation = { id: 'a'.repeat(32), secret: 'b'.repeat(64), roles: ['worker' as const], expires: 2e9 }

  it('gives an invitation to one key, under one name', async () => {
    register.invite(invitation)
    await register.redeem(invitation, member('one', 'key-1', 'U1'))
    // The answer was lost: the same node asks again, with a new user of the broker.
    await register.redeem(invitation, member('one', 'key-1', 'U2'))
    await assert.rejects(register.redeem(invitation, member('two', 'key-2', 'U3')), denied)
    await assert.rejects(register.redeem(invitation, member('two', 'key-1', 'U3')), denied)
    assert.deepEqual(
      register.members().map(({ name, brokerKeys }) => [name, brokerKeys]),
      [['one', ['U1', 'U2']]],
    )
  })

  it('revokes every user of the broker that the key ever had, and takes the key back never', async () => {
    await register.revoke('one', 5000)
    assert.deepEqual(register.revokedUsers(), { U1: 5, U2: 5 })
    assert.deepEqual(register.members(), [])
    await assert.rejects(register.admit(member('three', 'key-1', 'U4')), denied)
  })
})
