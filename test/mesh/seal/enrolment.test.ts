/** The question for a certificate and its answer, in the hands of whoever owns the wire. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createUser } from '@nats-io/nkeys'
import { encode } from '../../../mesh/codec.js'
import { createAuthority } from '../../../mesh/seal/authority.js'
import { type Asked, askAuthority, type Grant, type Question, readQuestion } from '../../../mesh/seal/enrolment.js'
import { randomBytes, signingKey } from '../../../mesh/seal/keys.js'
import { ClawmeshError } from '../../../policies/errors.js'

const authority = createAuthority()
const { root } = authority
const secret = randomBytes(32)
const signing = signingKey()
const wish = {
  name: 'newcomer',
  roles: ['worker' as const],
  brokerKey: createUser().getPublicKey(),
  askedAt: Date.now(),
}
const grant: Grant = {
  certificate: authority.certify('newcomer', ['worker'], signing.publicKey, Date.now()).wire,
  meshKey: authority.meshKey,
  auditorKey: authority.auditor.publicKey,
  brokerToken: 'token',
  servers: ['nats://127.0.0.1:4222'],
}

const question = (knowing = secret): Question =>
  askAuthority({ kind: 'enrol', id: 'invitation', secret: knowing, signing, rootKey: root.publicKey }, wish)

function read(wire: Uint8Array): Asked {
  const asked = readQuestion(wire)
  assert.ok(asked)
  return asked
}

const unauthentic = (error: unknown) => error instanceof ClawmeshError && error.code === 'UNAUTHENTIC'
const contains = (bytes: Uint8Array, part: Uint8Array) => Buffer.from(bytes).includes(Buffer.from(part))

describe('a question for a certificate', () => {
  it('is read and answered by whoever shares the secret and holds the root', () => {
    const asked = question()
    const found = read(asked.wire).open(secret)
    assert.deepEqual(found.wish, wish)
    assert.deepEqual(found.publicKey, signing.publicKey)
    assert.deepEqual(asked.open(read(asked.wire).grant(secret, grant, root)), grant)
  })

  it('carries neither the secret nor what is wished, and its answer not the mesh key', () => {
    const asked = question()
    const answer = read(asked.wire).grant(secret, grant, root)
    for (const bytes of [asked.wire, answer])
      for (const part of [secret, Buffer.from('newcomer'), signing.publicKey, authority.meshKey, grant.certificate])
        assert.equal(contains(bytes, part), false)
  })

  it('is not believed without the secret', () => {
    assert.throws(() => read(question(randomBytes(32)).wire).open(secret), unauthentic)
  })

  it('is not believed when any byte of it was changed', () => {
    const { wire } = question()
    let believed = 0
    for (let at = 0; at < wire.length; at += 1) {
      const changed = wire.slice()
      changed[at] = (changed[at] ?? 0) ^ 1
      try {
        const found = readQuestion(changed)
        // Which invitation is asked for is looked up before anything is opened.
        if (found && found.id === 'invitation') {
          found.open(secret)
          believed += 1
        }
      } catch (error) {
        assert.ok(error instanceof Error)
      }
    }
    assert.equal(believed, 0)
  })

  it('cannot be turned into a question for another key by one who has stolen the string', () => {
    const stolen = askAuthority(
      {
        kind: 'enrol',
        id: 'invitation',
        secret,
        signing: { ...signingKey(), publicKey: signing.publicKey },
        rootKey: root.publicKey,
      },
      wish,
    )
    assert.throws(() => read(stolen.wire).open(secret), unauthentic)
  })
})

describe('an answer to it', () => {
  it('is not believed from another root, though it knows the secret', () => {
    const asked = question()
    assert.throws(() => asked.open(read(asked.wire).grant(secret, grant, signingKey())), unauthentic)
  })

  it('does not serve for another question', () => {
    const [first, second] = [question(), question()]
    assert.throws(() => second.open(read(first.wire).grant(secret, grant, root)), unauthentic)
  })

  it('is not believed when any byte of it was changed', () => {
    const asked = question()
    const answer = read(asked.wire).grant(secret, grant, root)
    for (let at = 0; at < answer.length; at += 1) {
      const changed = answer.slice()
      changed[at] = (changed[at] ?? 0) ^ 1
      assert.throws(() => asked.open(changed), Error, `byte ${at}`)
    }
  })

  it('of no is the authority’s own no, for this question', () => {
    const asked = question()
    const no = new ClawmeshError('DENIED', 'No.', { hint: 'Ask again.' })
    const refusal = read(asked.wire).refuse(no, root)
    assert.throws(
      () => asked.open(refusal),
      (error) => error instanceof ClawmeshError && error.code === 'DENIED' && error.hint === 'Ask again.',
    )
    assert.throws(() => question().open(refusal), unauthentic)
    assert.throws(() => asked.open(read(asked.wire).refuse(no, signingKey())), unauthentic)
    assert.throws(() => asked.open(encode(['nonsense'])), unauthentic)
  })
})
