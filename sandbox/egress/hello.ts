/**
 * The first words of TLS, in which a client says in clear which name it asks a server for. A host at an address that many share gives each the one it is
 * asked for: whoever was allowed one name there could ask for another. So what a program asks for has to be the name that was decided on. Pure.
 *
 *     const hello = readHello(bytes)
 *     if (hello.kind === 'hello') objectionTo(hello, 'docs.example.org') // undefined, or why it does not go out
 *
 * What is read in two ways is refused: a field twice, two names, a length that does not add up. What stands inside the encryption is not seen.
 */
import { isIP } from 'node:net'
import { hostName } from '../../policies/network.js'

export interface ClientHello {
  readonly kind: 'hello'
  /** Bytes on the wire, the headers of its records counted, and what came before it. */
  readonly length: number
  readonly name: string | undefined
  /** It says another name than the one that is meant, or may: that one is encrypted. */
  readonly isEncrypted: boolean
}

/** more: so far it is the beginning of one. */
export type Hello = ClientHello | { readonly kind: 'more' } | { readonly kind: 'none'; readonly why: string }

const recordHeader = 5
const messageHeader = 4
const mostRecord = 2 ** 14
const mostMessage = 2 ** 14
const records = { cipherChange: 20, handshake: 22 } as const
const clientHello = 1
const extensions = { serverName: 0, encryptedHello: 0xfe0d, encryptedName: 0xffce } as const

/** The answer to a hello that names no key a server takes asks for another one; such a second one may come behind an empty sign of older versions. */
export function readHello(bytes: Buffer): Hello {
  let at = bytes[0] === records.cipherChange ? recordHeader + 1 : 0
  if (at > 0 && bytes.length > at && bytes.readUInt16BE(3) !== 1) return none('it does not begin as TLS does')
  const pieces: Buffer[] = []
  let have = 0
  for (;;) {
    if (bytes.length > at && bytes[at] !== records.handshake) return none('it does not begin as TLS does')
    if (bytes.length < at + recordHeader) return { kind: 'more' }
    const size = bytes.readUInt16BE(at + 3)
    if (bytes[at + 1] !== 3 || size === 0 || size > mostRecord) return none('it does not begin as TLS does')
    const piece = bytes.subarray(at + recordHeader, at + recordHeader + size)
    pieces.push(piece)
    have += piece.length
    const message = Buffer.concat(pieces)
    if (message.length > 0 && message[0] !== clientHello) return none('it does not begin as TLS does')
    const length = message.length < messageHeader ? undefined : messageHeader + message.readUIntBE(1, 3)
    if (length !== undefined && length > mostMessage) return none('its first message is too long')
    if (piece.length < size) return { kind: 'more' }
    at += recordHeader + size
    if (length === undefined || have < length) continue
    if (have > length) return none('its first message does not end where its record does')
    return fieldsOf(message.subarray(messageHeader), at)
  }
}

/** Why a program that was let connect to this host may not say this to it. @param host a name, or an address */
export function objectionTo({ name, isEncrypted }: ClientHello, host: string): string | undefined {
  if (isEncrypted) return 'by TLS it asks for a name that it hides (Encrypted ClientHello)'
  if (isIP(host) !== 0) return name === undefined ? undefined : `by TLS it asks for ${name}, and no name was allowed`
  if (name === undefined) return 'by TLS it asks for no name'
  return name === host ? undefined : `by TLS it asks for ${name}`
}

const none = (why: string): Hello => ({ kind: 'none', why })

function fieldsOf(body: Buffer, length: number): Hello {
  const fields = new Fields(body)
  fields.take(2 + 32)
  fields.vector(1)
  fields.vector(2)
  fields.vector(1)
  const seen = new Map<number, Buffer>()
  const listed = new Fields(fields.isAtEnd ? Buffer.alloc(0) : fields.vector(2))
  while (!listed.isAtEnd && !listed.isBroken) {
    const type = listed.number(2)
    if (seen.has(type)) return none('it says a thing twice')
    seen.set(type, listed.vector(2))
  }
  if (fields.isBroken || listed.isBroken || !fields.isAtEnd) return none('its first message cannot be read')
  const isEncrypted = seen.has(extensions.encryptedHello) || seen.has(extensions.encryptedName)
  const asked = seen.get(extensions.serverName)
  if (!asked) return { kind: 'hello', length, name: undefined, isEncrypted }
  const outer = new Fields(asked)
  const list = new Fields(outer.vector(2))
  const isHostName = list.number(1) === 0
  const name = hostName(list.vector(2).toString('latin1'))
  const isWhole = outer.isAtEnd && list.isAtEnd && !outer.isBroken && !list.isBroken
  if (!isHostName || !isWhole || name === undefined) return none('the name that it asks for cannot be read')
  return { kind: 'hello', length, name, isEncrypted }
}

/** Takes one field after another; past the end everything is empty, and that is told. */
class Fields {
  isBroken = false
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  take(length: number): Buffer {
    const end = this.#at + length
    if (end > this.#bytes.length) this.isBroken = true
    if (this.isBroken) return Buffer.alloc(0)
    const taken = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return taken
  }

  number(size: 1 | 2): number {
    const taken = this.take(size)
    return taken.length === size ? taken.readUIntBE(0, size) : -1
  }

  /** Behind its length. */
  vector(size: 1 | 2): Buffer {
    const length = this.number(size)
    return length < 0 ? Buffer.alloc(0) : this.take(length)
  }
}
