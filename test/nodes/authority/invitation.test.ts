import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { describe, it } from 'node:test'
import { randomBytes } from '../../../mesh/seal/keys.js'
import { fromBase32, toBase32 } from '../../../nodes/authority/base32.js'
import { readInvitation } from '../../../nodes/authority/invitation.js'
import { issueInvitation } from '../../../nodes/authority/issue.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { temporaryFolder } from '../../kit/mesh.js'

describe('an invitation', () => {
  const folder = temporaryFolder()
  const servers = ['nats://127.0.0.1:4222']
  const now = Date.now()
  const wish = { roles: ['worker' as const], labels: [], name: undefined, lifeMs: 60_000 }
  const text = issueInvitation(folder, { local: servers, servers, isOutside: false }, wish, now)
  rmSync(folder, { recursive: true })
  const usage = (pattern: RegExp) => (error: unknown) =>
    error instanceof ClawmeshError && error.code === 'USAGE' && error.hint !== '' && pattern.test(error.message)

  it('is one short word that says where to go', () => {
    assert.match(text, /^cmj1_[\w-]+$/)
    assert.ok(text.length < 400, `${text.length} letters`)
    assert.deepEqual(readInvitation(text, now).servers, servers)
  })

  it('may be broken over lines by a terminal', () => {
    assert.equal(readInvitation(`  ${text.slice(0, 80)}\n${text.slice(80)}\r\n`, now).id, readInvitation(text, now).id)
  })

  it('is refused when it is too old', () => {
    assert.throws(() => readInvitation(text, now + 61_000), usage(/ended at/))
  })

  it('is refused when any letter of it is changed, missing or doubled', () => {
    for (let at = 5; at < text.length; at += 1) {
      const letters = [...'ABCDEFGHIJKLMNOP'].filter((letter) => letter !== text[at])
      for (const changed of [
        ...letters.map((letter) => text.slice(0, at) + letter + text.slice(at + 1)),
        text.slice(0, at) + text.slice(at + 1),
        text.slice(0, at),
      ])
        assert.throws(() => readInvitation(changed, now), usage(/damaged/), `letter ${at}`)
    }
  })

  it('is refused when it is none, or of another version', () => {
    assert.throws(() => readInvitation('hello', now), usage(/no invitation/))
    assert.throws(() => readInvitation(text.replace('cmj1', 'cmj2'), now), usage(/another version/))
  })
})

describe('base 32', () => {
  it('reads back what it wrote, at every length', () => {
    for (let length = 0; length < 40; length += 1) {
      const bytes = randomBytes(length)
      assert.deepEqual(fromBase32(toBase32(bytes)), bytes)
    }
    assert.equal(toBase32(Buffer.from('foobar')), 'MZXW6YTBOI')
  })
})
