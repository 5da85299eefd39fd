/**
 * The handshake Noise_IK_25519_ChaChaPoly_SHA256 (noiseprotocol.org, revision 34). The initiator knows the responder's static key; both static
 * keys are proven, both ephemeral keys are mixed in, and the first message can carry data already:
 *
 *     const hello = new Initiator(mine, theirs, prologue)
 *     hello.write(payload)                    // → e, es, s, ss
 *     hello.read(answer)                      // ← e, ee, se
 *     hello.keys()                            // { send, receive }
 *
 * What the first message carries can be opened by whoever later steals the responder's static key, and can be repeated to it: who reads it must
 * see to the second. All that follows is safe from both.
 */
import { createHash, createHmac } from 'node:crypto'
import { ClawmeshError } from '../../policies/errors.js'
import { open, seal, tagLength } from './aead.js'
import { type AgreementKey, agreementKey, utf8 } from './keys.js'
import { sodium } from './sodium.js'

/** Keys of the two directions, 32 bytes each. */
export interface DirectionKeys {
  readonly send: Uint8Array
  readonly receive: Uint8Array
}

const keyLength = 32
const protocolName = utf8('Noise_IK_25519_ChaChaPoly_SHA256')

export class Initiator {
  #state: SymmetricState
  readonly #static: AgreementKey
  readonly #responder: Uint8Array
  readonly #ephemeral: AgreementKey

  /** `ephemeral` is fresh for each handshake; only known answers are tested with a given one. */
  constructor(mine: AgreementKey, responder: Uint8Array, prologue: Uint8Array, ephemeral = agreementKey()) {
    this.#state = new SymmetricState(prologue, responder)
    this.#static = mine
    this.#responder = responder
    this.#ephemeral = ephemeral
  }

  /** The first message. */
  write(payload: Uint8Array): Uint8Array {
    const state = this.#state
    state.mixHash(this.#ephemeral.publicKey)
    state.mixKey(agree(this.#ephemeral, this.#responder))
    const mine = state.encrypt(this.#static.publicKey)
    state.mixKey(agree(this.#static, this.#responder))
    return joined(this.#ephemeral.publicKey, mine, state.encrypt(payload))
  }

  /** Reads the second message and gives its payload. One that throws has changed nothing: the true one may still come. */
  read(message: Uint8Array): Uint8Array {
    const state = this.#state.copy()
    const [theirs, rest] = split(message, keyLength)
    state.mixHash(theirs)
    state.mixKey(agree(this.#ephemeral, theirs))
    state.mixKey(agree(this.#static, theirs))
    const payload = state.decrypt(rest)
    this.#state = state
    return payload
  }

  keys(): DirectionKeys {
    const [send, receive] = this.#state.split()
    return { send, receive }
  }
}

export class Responder {
  readonly #state: SymmetricState
  readonly #static: AgreementKey
  readonly #ephemeral: AgreementKey
  #theirEphemeral = new Uint8Array(keyLength)
  #theirStatic = new Uint8Array(keyLength)

  constructor(mine: AgreementKey, prologue: Uint8Array, ephemeral = agreementKey()) {
    this.#state = new SymmetricState(prologue, mine.publicKey)
    this.#static = mine
    this.#ephemeral = ephemeral
  }

  /** The static key of whoever wrote the first message, once that has been read. */
  get initiator(): Uint8Array {
    return this.#theirStatic
  }

  /** Reads the first message and gives its payload. */
  read(message: Uint8Array): Uint8Array {
    const state = this.#state
    const [ephemeral, rest] = split(message, keyLength)
    const [sealedStatic, payload] = split(rest, keyLength + tagLength)
    state.mixHash(ephemeral)
    state.mixKey(agree(this.#static, ephemeral))
    const theirs = state.decrypt(sealedStatic)
    state.mixKey(agree(this.#static, theirs))
    this.#theirEphemeral.set(ephemeral)
    this.#theirStatic.set(theirs)
    return state.decrypt(payload)
  }

  /** The second message. */
  write(payload: Uint8Array): Uint8Array {
    const state = this.#state
    state.mixHash(this.#ephemeral.publicKey)
    state.mixKey(agree(this.#ephemeral, this.#theirEphemeral))
    state.mixKey(agree(this.#ephemeral, this.#theirStatic))
    return joined(this.#ephemeral.publicKey, state.encrypt(payload))
  }

  keys(): DirectionKeys {
    const [receive, send] = this.#state.split()
    return { send, receive }
  }
}

/** The running hash of all that was said, and the key that follows from all that was agreed. */
class SymmetricState {
  #hash: Uint8Array = protocolName
  #chaining: Uint8Array = protocolName
  #key: Uint8Array = protocolName
  #counter = 0

  /** Begins with what both sides know before anything is said. */
  constructor(...known: Uint8Array[]) {
    for (const part of known) this.mixHash(part)
  }

  copy(): SymmetricState {
    const copy = new SymmetricState()
    copy.#hash = this.#hash
    copy.#chaining = this.#chaining
    copy.#key = this.#key
    copy.#counter = this.#counter
    return copy
  }

  mixHash(data: Uint8Array): void {
    this.#hash = createHash('sha256').update(this.#hash).update(data).digest()
  }

  mixKey(input: Uint8Array): void {
    const [chaining, key] = derive(this.#chaining, input)
    this.#chaining = chaining
    this.#key = key
    this.#counter = 0
  }

  encrypt(plain: Uint8Array): Uint8Array {
    const sealed = seal(this.#key, this.#counter, this.#hash, plain)
    this.#counter += 1
    this.mixHash(sealed)
    return sealed
  }

  decrypt(sealed: Uint8Array): Uint8Array {
    const plain = open(this.#key, this.#counter, this.#hash, sealed)
    this.#counter += 1
    this.mixHash(sealed)
    return plain
  }

  split(): [Uint8Array, Uint8Array] {
    return derive(this.#chaining, new Uint8Array(0))
  }
}

/** HKDF with two outputs, as Noise defines it. */
function derive(chaining: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array] {
  const hmac = (key: Uint8Array, ...parts: Uint8Array[]) => {
    const mac = createHmac('sha256', key)
    for (const part of parts) mac.update(part)
    return new Uint8Array(mac.digest())
  }
  const temporary = hmac(chaining, input)
  const first = hmac(temporary, Uint8Array.of(1))
  return [first, hmac(temporary, first, Uint8Array.of(2))]
}

/** X25519. A public key of small order, which would make the result known to all, is refused. */
function agree({ secretKey }: AgreementKey, theirs: Uint8Array): Uint8Array {
  try {
    return sodium.crypto_scalarmult(secretKey, theirs)
  } catch (cause) {
    throw new ClawmeshError('UNAUTHENTIC', 'A message arrived with a key that is none.', { cause })
  }
}

function split(bytes: Uint8Array, length: number): [Uint8Array, Uint8Array] {
  if (bytes.length < length) throw new ClawmeshError('MESSAGE_INVALID', 'A handshake arrived that is too short.')
  return [bytes.subarray(0, length), bytes.subarray(length)]
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}
