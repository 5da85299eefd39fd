import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readFrame } from '../../../mesh/seal/frame.js'
import { type AgreementKey, agreementKey, fromHex, hex, utf8 } from '../../../mesh/seal/keys.js'
import { Initiator, Responder } from '../../../mesh/seal/noise.js'
import { Session } from '../../../mesh/seal/session.js'
import { sodium } from '../../../mesh/seal/sodium.js'
import { ClawmeshError } from '../../../policies/errors.js'

const keyOf = (secret: string): AgreementKey => {
  const secretKey = fromHex(secret)
  return { secretKey, publicKey: sodium.crypto_scalarmult_base(secretKey) }
}

const unauthentic = (error: unknown) => error instanceof ClawmeshError && error.code === 'UNAUTHENTIC'

describe('the Noise handshake', () => {
  /** The keys and payloads of the "cacophony" vectors; the answers are those that the Python package noiseprotocol 0.3.1 computes from them. */
  it('gives the known answers of Noise_IK_25519_ChaChaPoly_SHA256', () => {
    const initiatorStatic = keyOf('e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1')
    const initiatorEphemeral = keyOf('893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a')
    const responderStatic = keyOf('4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893')
    const responderEphemeral = keyOf('bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b')
    const prologue = utf8('John Galt')

    const initiator = new Initiator(initiatorStatic, responderStatic.publicKey, prologue, initiatorEphemeral)
    const responder = new Responder(responderStatic, prologue, responderEphemeral)
    const first = initiator.write(utf8('Ludwig von Mises'))
    assert.equal(
      hex(first),
      'ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944718da798efbcd91528520204f904b9bd6c7413dccdc214d951e15253e39987f1' +
        '8146e8cd0873654207148333479d4d16c289f0294b29960a72f48e0b7bba2e89083169825e59642148d492020664ccf7',
    )
    assert.equal(Buffer.from(responder.read(first)).toString(), 'Ludwig von Mises')
    assert.deepEqual(responder.initiator, initiatorStatic.publicKey)
    const second = responder.write(utf8('Murray Rothbard'))
    assert.equal(
      hex(second),
      '95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088435361e70b2ed446e6c9ec387d1d6b3b840f194e373979d241b203c4acafccf5',
    )
    assert.equal(Buffer.from(initiator.read(second)).toString(), 'Murray Rothbard')
    const [ours, theirs] = [initiator.keys(), responder.keys()]
    assert.deepEqual(ours.send, theirs.receive)
    assert.deepEqual(ours.receive, theirs.send)
    const sealed = sodium.crypto_aead_chacha20poly1305_ietf_encrypt(
      'F. A. Hayek',
      null,
      null,
      new Uint8Array(12),
      ours.send,
    )
    assert.equal(hex(sealed), '050e9f3c8fac16b68dbce8f8c4bfbf6617c897f9ada4aa29aa19c8')
  })

  it('survives a forged answer: the true one still counts', () => {
    const [mine, theirs] = [agreementKey(), agreementKey()]
    const initiator = new Initiator(mine, theirs.publicKey, utf8('p'))
    const responder = new Responder(theirs, utf8('p'))
    responder.read(initiator.write(utf8('hello')))
    const answer = responder.write(utf8('welcome'))
    for (let bit = 0; bit < answer.length * 8; bit += 1) {
      const forged = answer.slice()
      forged[bit >> 3] = (forged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      // The top bit of a public key means nothing in X25519, but it is hashed.
      assert.throws(() => initiator.read(forged), unauthentic)
    }
    assert.equal(Buffer.from(initiator.read(answer)).toString(), 'welcome')
    assert.deepEqual(initiator.keys().send, responder.keys().receive)
  })

  it('fails under another prologue, for another key, and with a key of small order', () => {
    const [mine, theirs] = [agreementKey(), agreementKey()]
    const hello = new Initiator(mine, theirs.publicKey, utf8('one')).write(utf8('hello'))
    assert.throws(() => new Responder(theirs, utf8('two')).read(hello), unauthentic)
    assert.throws(() => new Responder(agreementKey(), utf8('one')).read(hello), unauthentic)
    assert.throws(() => new Initiator(mine, new Uint8Array(32), utf8('one')).write(utf8('hello')), unauthentic)
  })
})

describe('a session', () => {
  const pair = (): [Session, Session] => {
    const [one, other] = [agreementKey().publicKey, agreementKey().publicKey]
    // A session looks at nothing of its peer.
    const peer = {} as Session['peer']
    return [
      new Session(peer, 7, { send: one, receive: other }, 0),
      new Session(peer, 8, { send: other, receive: one }, 0),
    ]
  }
  const frames = (session: Session, count: number) =>
    Array.from({ length: count }, (_, number) => readLetter(session.seal(utf8(`letter ${number}`))))

  it('opens each letter once, in any order within its window', () => {
    const [sender, receiver] = pair()
    const sent = frames(sender, 1024)
    const order = sent.map((_, number) => (number * 757) % 1024)
    for (const number of order) {
      const frame = sent[number]
      assert.ok(frame)
      assert.equal(Buffer.from(receiver.open(frame)).toString(), `letter ${number}`)
      assert.throws(() => receiver.open(frame), /a second time/)
    }
    for (const frame of sent) assert.throws(() => receiver.open(frame), /a second time/)
  })

  it('takes nothing that is older than its window, however the ring has turned', () => {
    const [sender, receiver] = pair()
    const sent = frames(sender, 5000)
    for (const number of [0, 1, 33, 1023, 1025, 3000, 4999]) {
      const frame = sent[number]
      assert.ok(frame)
      receiver.open(frame)
      const tooOld = sent[number - 1025]
      if (tooOld) assert.throws(() => receiver.open(tooOld), /a second time/)
    }
    const opened = sent.filter((frame) => {
      try {
        receiver.open(frame)
        return true
      } catch {
        return false
      }
    })
    // Of the newest 1,024, all but the highest, which was seen.
    assert.equal(opened.length, 1023)
  })

  it('burns no counter for what does not open', () => {
    const [sender, receiver] = pair()
    const [frame] = frames(sender, 1)
    assert.ok(frame)
    const forged = { ...frame, sealed: frame.sealed.map((byte) => byte ^ 1) }
    assert.throws(() => receiver.open(forged), /does not open/)
    assert.equal(Buffer.from(receiver.open(frame)).toString(), 'letter 0')
  })

  it('seals short and long letters alike', () => {
    const [sender, receiver] = pair()
    for (const length of [0, 1, 2999, 3000, 3001, 100_000]) {
      const plain = new Uint8Array(length).fill(length)
      assert.deepEqual(new Uint8Array(receiver.open(readLetter(sender.seal(plain)))), plain)
    }
  })
})

function readLetter(bytes: Uint8Array) {
  const frame = readFrame(bytes)
  assert.ok(frame.type === 'letter')
  return frame
}
