/** A verifier of audit trails made from docs/audit.md alone: it imports nothing of clawmesh. */
import { createDecipheriv, createHash, createHmac, createPublicKey, verify as verifySignature } from 'node:crypto'
import sodium from 'libsodium-wrappers'

await sodium.ready

type Value = number | string | Buffer | null | Value[]

export interface Sources {
  /** The stream's messages, oldest first. */
  messages: Uint8Array[]
  /** The text of checkpoints.jsonl. */
  checkpoints: string
  /** The bytes of chain files. */
  chains: Uint8Array[]
  rootKey: Uint8Array
}

const sha256 = (...parts: Uint8Array[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()

interface Producer {
  key: Buffer
  hashes: Buffer[]
}

interface Record {
  producer: string
  number: Value
  previous: Value
  count: number
  opening: Value
  /** Bytes of the parts. */
  signature: Buffer
  signed: Buffer
  head: Buffer
  sealed: Buffer
}

function readRecord(bytes: Buffer): Record {
  const headEnd = 68 + bytes.readUInt32BE(64)
  const head = bytes.subarray(68, headEnd)
  const [version, producer, number = null, previous = null, , count, opening = null] = list(unpack(head))
  check(version === 2, 'version')
  const parts = { signature: bytes.subarray(0, 64), signed: bytes.subarray(64), head, sealed: bytes.subarray(headEnd) }
  return { producer: String(producer), number, previous, count: Number(count), opening, ...parts }
}

/** Throws an Error that says what is wrong; otherwise the number of records, repetitions left out. */
export function verifyByTheBook({ messages, checkpoints, chains, rootKey }: Sources): number {
  const producers = new Map<string, Producer>()
  const order: Buffer[] = []
  for (const bytes of messages.flatMap((message) => list(unpack(message)).map(binary))) {
    const { producer, number, previous, opening, signature, signed: under } = readRecord(bytes)
    if (opening !== null) {
      const key = certifiedKey(binary(list(opening)[0]), rootKey)
      check(sha256(key).toString('hex').slice(0, 32) === producer, 'certificate of another')
      if (!producers.has(producer)) producers.set(producer, { key, hashes: [] })
    }
    const head = producers.get(producer)
    if (!head) throw new Error('no certificate')
    check(signed('audit', under, signature, head.key), 'signature')
    const hash = sha256(bytes)
    if (Number(number) < head.hashes.length) {
      check(head.hashes[Number(number)]?.equals(hash) === true, 'number used twice')
      continue
    }
    check(number === head.hashes.length, 'gap')
    check(binary(previous).equals(head.hashes.at(-1) ?? Buffer.alloc(32)), 'previous')
    head.hashes.push(hash)
    order.push(hash)
  }
  compareCheckpoints(checkpoints, order, rootKey)
  for (const file of chains) compareChain(file, producers)
  return order.length
}

export interface ProofByTheBook {
  record: string
  certificate: string
  index: number
  size: number
  path: string[]
  checkpoint: { root: string; signature: string }
  key?: string | undefined
}

/** Throws an Error that says what is wrong with a proof of inclusion; otherwise the hash of the record, and its events if the proof lets them be read. */
export function proveByTheBook(proof: ProofByTheBook, rootKey: Uint8Array): { hash: string; events: Value[][] } {
  const bytes = Buffer.from(proof.record, 'base64')
  const { producer, signed: under, signature, head, sealed } = readRecord(bytes)
  const key = certifiedKey(Buffer.from(proof.certificate, 'hex'), rootKey)
  check(sha256(key).toString('hex').slice(0, 32) === producer, 'certificate of another')
  check(signed('audit', under, signature, key), 'signature')
  const { signature: vouched, ...unsigned } = proof.checkpoint
  const said = Buffer.from(JSON.stringify(unsigned))
  check(signed('checkpoint', said, Buffer.from(vouched, 'hex'), rootKey), 'checkpoint signature')
  let [node, last, hash] = [proof.index, proof.size - 1, sha256(Buffer.of(0), sha256(bytes))]
  check(node <= last, 'index')
  for (const hex of proof.path) {
    const sibling = Buffer.from(hex, 'hex')
    check(last > 0, 'path too long')
    if (node % 2 === 1 || node === last) {
      hash = sha256(Buffer.of(1), sibling, hash)
      while (node % 2 === 0 && node > 0) [node, last] = [node / 2, Math.floor(last / 2)]
    } else hash = sha256(Buffer.of(1), hash, sibling)
    ;[node, last] = [Math.floor(node / 2), Math.floor(last / 2)]
  }
  check(last === 0 && hash.toString('hex') === proof.checkpoint.root, 'root')
  const events = proof.key === undefined ? [] : unpacked(Buffer.from(proof.key, 'hex'), head, sealed)
  return { hash: sha256(bytes).toString('hex'), events }
}

/** The events of all records in order, opened with the auditors' key pair. */
export function openByTheBook(
  messages: Uint8Array[],
  auditor: { publicKey: Uint8Array; secretKey: Uint8Array },
): Value[][] {
  const keys = new Map<string, Buffer>()
  return messages
    .flatMap((message) => list(unpack(message)).map(binary))
    .flatMap((bytes) => {
      const { producer, opening, count, head, sealed } = readRecord(bytes)
      const first = opening === null ? keys.get(producer) : unsealed(binary(list(opening)[1]), auditor)
      if (!first) throw new Error('no key')
      keys.set(producer, hmac(first, 1))
      const events = unpacked(hmac(first, 2), head, sealed)
      check(events.length === count, 'count')
      return events
    })
}

/** What an opened event says of a person, with the person's key pair. */
export function factsByTheBook(event: Value[], person: { publicKey: Uint8Array; secretKey: Uint8Array }): Value {
  const [time = null, kind = null, trace = null, actor = null, facts = null] = event
  const [subject = null, box = null, number, sealed = null] = list(facts)
  check(binary(subject).equals(sha256(person.publicKey).subarray(0, 16)), 'subject')
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32LE(Number(number), 4)
  const decipher = createDecipheriv('chacha20-poly1305', unsealed(binary(box), person), nonce, { authTagLength: 16 })
  const body = binary(sealed).subarray(0, -16)
  decipher.setAAD(packed([time, kind, trace, actor]), { plaintextLength: body.length })
  decipher.setAuthTag(binary(sealed).subarray(-16))
  return unpack(Buffer.concat([decipher.update(body), decipher.final()]))
}

/** The time as a 64-bit float, and short ASCII strings. */
function packed([time, ...words]: Value[]): Buffer {
  const float = Buffer.alloc(9, 0xcb)
  float.writeDoubleBE(Number(time), 1)
  return Buffer.concat([Buffer.of(0x94), float, ...words.flatMap((word) => text(String(word)))])
}

const text = (word: string) =>
  Buffer.concat([word.length < 32 ? Buffer.of(0xa0 + word.length) : Buffer.of(0xd9, word.length), Buffer.from(word)])

function unpacked(key: Buffer, head: Buffer, sealed: Buffer): Value[][] {
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.alloc(12))
  decipher.setAAD(head).setAuthTag(sealed.subarray(-16))
  const plain = Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()])
  return list(unpack(plain)).map(list)
}

const hmac = (key: Buffer, number: number): Buffer =>
  createHmac('sha256', key)
    .update(Buffer.from([0, 0, 0, number]))
    .digest()

const unsealed = (box: Buffer, { publicKey, secretKey }: { publicKey: Uint8Array; secretKey: Uint8Array }) =>
  Buffer.from(sodium.crypto_box_seal_open(box, publicKey, secretKey))

function certifiedKey(certificate: Buffer, rootKey: Uint8Array): Buffer {
  const [inner, signature] = list(unpack(certificate)).map(binary)
  check(signed('certificate', binary(inner), binary(signature), rootKey), 'certificate')
  return binary(list(unpack(binary(inner)))[3])
}

function compareCheckpoints(text: string, order: Buffer[], rootKey: Uint8Array): void {
  let before = ''
  let from = 0
  for (const line of text.split('\n').slice(0, -1)) {
    const { signature, ...unsigned } = JSON.parse(line)
    const bytes = Buffer.from(JSON.stringify(unsigned))
    check(signed('checkpoint', bytes, Buffer.from(signature, 'hex'), rootKey), 'checkpoint signature')
    check(unsigned.previous === sha256(Buffer.from(before)).toString('hex'), 'checkpoint order')
    check(unsigned.count >= from && unsigned.count <= order.length, 'stream too short')
    check(merkle(order.slice(from, unsigned.count)).toString('hex') === unsigned.root, 'checkpoint root')
    before = line
    from = unsigned.count
  }
}

function compareChain(file: Uint8Array, producers: Map<string, { hashes: Buffer[] }>): void {
  const bytes = Buffer.from(file)
  const hashes: Buffer[] = []
  let producer = ''
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at)
    const record = bytes.subarray(at + 4, end)
    producer = readRecord(record).producer
    hashes.push(sha256(record))
    at = end
  }
  const streamed = producers.get(producer)?.hashes ?? []
  check(Buffer.concat(hashes).equals(Buffer.concat(streamed)), 'chain file and stream differ')
}

function merkle(leaves: Buffer[]): Buffer {
  const [only] = leaves
  if (!only) return sha256()
  if (leaves.length === 1) return sha256(Buffer.of(0), only)
  let half = 1
  while (half * 2 < leaves.length) half *= 2
  return sha256(Buffer.of(1), merkle(leaves.slice(0, half)), merkle(leaves.slice(half)))
}

function signed(context: string, bytes: Buffer, signature: Buffer, publicKey: Uint8Array): boolean {
  const key = createPublicKey({
    key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), publicKey]),
    format: 'der',
    type: 'spki',
  })
  return verifySignature(null, sha256(Buffer.from(`clawmesh ${context}\0`), bytes), key, signature)
}

/** msgpack, as far as the page says that it occurs. */
function unpack(bytes: Uint8Array | undefined): Value {
  const buffer = Buffer.from(bytes ?? [])
  let at = 0
  const uint = (size: number) => {
    at += size
    return buffer.readUIntBE(at - size, size)
  }
  const raw = (length: number) => {
    at += length
    check(at <= buffer.length, 'ends early')
    return buffer.subarray(at - length, at)
  }
  const array = (length: number): Value[] => Array.from({ length }, next)
  const map = (length: number): Value => array(2 * length)
  function next(): Value {
    const tag = uint(1)
    if (tag < 0x80) return tag
    if (tag < 0x90) return map(tag - 0x80)
    if (tag >= 0x90 && tag < 0xa0) return array(tag - 0x90)
    if (tag >= 0xa0 && tag < 0xc0) return raw(tag - 0xa0).toString()
    if (tag === 0xc0) return null
    if (tag >= 0xc4 && tag <= 0xc6) return raw(uint(2 ** (tag - 0xc4)))
    if (tag === 0xcb) return raw(8).readDoubleBE()
    if (tag >= 0xcc && tag <= 0xce) return uint(2 ** (tag - 0xcc))
    if (tag === 0xd9) return raw(uint(1)).toString()
    if (tag === 0xdc) return array(uint(2))
    if (tag === 0xdd) return array(uint(4))
    throw new Error(`unexpected tag ${tag}`)
  }
  const value = next()
  check(at === buffer.length, 'more than one value')
  return value
}

function list(value: Value): Value[] {
  if (Array.isArray(value)) return value
  throw new Error('no array')
}

function binary(value: Value | undefined): Buffer {
  if (Buffer.isBuffer(value)) return value
  throw new Error('no bytes')
}

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what)
}
