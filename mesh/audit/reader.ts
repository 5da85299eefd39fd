/**
 * Follows the chains of an audit stream, message by message, and trusts only the root key. It can stop anywhere and go on from its state later.
 *
 * 1. A record is given out once: what its producer repeated, byte for byte, after a crash is left out.
 * 2. Nothing is given out before the signatures that it stands under are checked. A record holds the hash of the whole record before it, so the signature
 *    of a producer's last record vouches for all that were read with it; only if something is wrong is each one looked at, to name the place.
 */
import { ClawmeshError } from '../../policies/errors.js'
import { decode } from '../codec.js'
import { type Certificate, readCertificate } from '../seal/certificate.js'
import { fromHex, hex, sameBytes } from '../seal/keys.js'
import type { Stored } from '../transport/transport.js'
import { isSignedBy, noHash, type ReadRecord, readRecord } from './record.js'

export interface Fault {
  /** For people: "record 17 of node worker-2 (stream message 40)". */
  place: string
  what: string
}

/** Records of one producer that are sealed under keys which follow from one another. */
export interface Epoch {
  readonly certificate: Certificate
  /** The first of the keys, sealed to the auditors. */
  readonly key: Uint8Array
  /** The number of the record that opened it. */
  readonly first: number
}

/** A record with its place in its producer's chain. */
export interface TrailRecord extends ReadRecord {
  readonly epoch: Epoch
}

/** The end of one producer's chain. */
export interface Head {
  epoch: Epoch
  next: number
  hash: Uint8Array
  /** By number, as far as this reader has read them itself. */
  hashes: Uint8Array[]
}

/** A head as text: all that is needed to go on from it. Byte strings in hex. */
export interface HeadState {
  certificate: string
  key: string
  first: number
  next: number
  hash: string
}

/** A new record, and the stream message that brought it. */
export interface Taken {
  sequence: number
  record: TrailRecord
}

/** Bytes in which one record is looked for, and what was found. */
interface Item {
  place: string
  record: TrailRecord | undefined
  faults: Fault[]
}

export class TrailReader {
  readonly heads = new Map<string, Head>()
  readonly #rootKey: Uint8Array
  readonly #faults: Fault[]

  /** What is wrong is added to `faults`, and reading goes on. */
  constructor(rootKey: Uint8Array, faults: Fault[]) {
    this.#rootKey = rootKey
    this.#faults = faults
  }

  /** The new records of some stream messages, in order. Signatures are checked once for all of them. */
  take(messages: Stored[]): TrailRecord[] {
    return this.#judge(messages.flatMap(({ sequence, bytes }) => this.#batch(bytes, sequence)))
  }

  /** The same if nothing is wrong with any of it; otherwise undefined, and it is as if none of it had been read. */
  takeWhole(messages: Stored[]): Taken[] | undefined {
    const before = [...this.heads]
    const read = messages.map(({ sequence, bytes }) => ({ sequence, items: this.#batch(bytes, sequence) }))
    if (isVouchedFor(read.flatMap(({ items }) => items)))
      return read.flatMap(({ sequence, items }) => recordsOf(items).map((record) => ({ sequence, record })))
    this.heads.clear()
    for (const [producer, head] of before) this.heads.set(producer, head)
    return undefined
  }

  /** The same for records that were found in another place, which is named. */
  follow(batch: Uint8Array[], place: string): TrailRecord[] {
    return this.#judge(batch.map((bytes) => this.#item(bytes, place)))
  }

  nameOf(producer: string): string {
    return this.heads.get(producer)?.epoch.certificate.name ?? producer
  }

  state(): HeadState[] {
    return [...this.heads.values()].map(({ epoch, next, hash }) => ({
      certificate: hex(epoch.certificate.wire),
      key: hex(epoch.key),
      first: epoch.first,
      next,
      hash: hex(hash),
    }))
  }

  /** Goes on where another reader stopped. */
  resume(state: HeadState[]): void {
    for (const { certificate: wire, key, first, next, hash } of state) {
      const certificate = readCertificate(fromHex(wire), this.#rootKey)
      const epoch = { certificate, key: fromHex(key), first }
      this.heads.set(certificate.holder, { epoch, next, hash: fromHex(hash), hashes: [] })
    }
  }

  #batch(bytes: Uint8Array, sequence: number): Item[] {
    const place = `stream message ${sequence}`
    const faults: Fault[] = []
    const batch = attempt(() => decode(bytes), place, faults)
    if (Array.isArray(batch) && batch.every((record) => record instanceof Uint8Array))
      return batch.map((record) => this.#item(record, place))
    if (faults.length === 0) faults.push({ place, what: 'it is no batch of records' })
    return [{ place, record: undefined, faults }]
  }

  #item(bytes: Uint8Array, place: string): Item {
    const faults: Fault[] = []
    const read = attempt(() => readRecord(bytes), place, faults)
    return { place, record: read && this.#link(read, place, faults), faults }
  }

  /** Notes all faults of what was read together, in the order of their places. */
  #judge(items: Item[]): TrailRecord[] {
    if (!isVouchedFor(items)) {
      for (const { record, place, faults } of items) {
        if (record && !isSigned(record))
          faults.unshift({ place: placeOf(record, place), what: 'its signature is not that of its producer' })
      }
      this.#faults.push(...items.flatMap(({ faults }) => faults))
    }
    return recordsOf(items)
  }

  /** The record in its place, if it is a new one; undefined for a faithful repetition too. */
  #link(read: ReadRecord, where: string, faults: Fault[]): TrailRecord | undefined {
    const { producer, number, hash } = read
    const head = this.heads.get(producer)
    const epoch = this.#epochOf(read, head, where, faults)
    if (!epoch) return undefined
    const record = { ...read, epoch }
    const place = placeOf(record, where)
    const next = head?.next ?? 0
    if (head && number < next) {
      if (isRepetition(record, head)) return undefined
      faults.push({ place, what: 'it stands here a second time, with other content or out of order' })
      return record
    }
    if (number > next) {
      const missing = number - next
      const what = `${missing} record${missing > 1 ? 's' : ''} before it (from ${next}) ${missing > 1 ? 'are' : 'is'} missing`
      faults.push({ place, what })
    } else if (!sameBytes(record.previous, head?.hash ?? noHash)) {
      faults.push({ place, what: 'it does not continue the record before it' })
    }
    const hashes = head?.hashes ?? []
    hashes[number] = hash
    this.heads.set(producer, { epoch, next: number + 1, hash, hashes })
    return record
  }

  /** The epoch that the record opens or goes on with. */
  #epochOf({ producer, number, opening }: ReadRecord, head: Head | undefined, place: string, faults: Fault[]) {
    if (!opening) {
      if (!head) faults.push({ place, what: `the chain of producer ${producer} does not begin with its certificate` })
      return head?.epoch
    }
    const known = head?.epoch.certificate
    const certificate =
      known && sameBytes(known.wire, opening.certificate)
        ? known
        : attempt(() => readCertificate(opening.certificate, this.#rootKey), place, faults)
    if (!certificate) return undefined
    if (certificate.holder !== producer) {
      faults.push({ place, what: `the certificate is that of another node, ${certificate.name}` })
      return undefined
    }
    return { certificate, key: opening.key, first: number }
  }
}

function attempt<T>(read: () => T, place: string, faults: Fault[]): T | undefined {
  try {
    return read()
  } catch (error) {
    faults.push({ place, what: ClawmeshError.from(error).message })
    return undefined
  }
}

function isRepetition(record: TrailRecord, { next, hash, hashes }: Head): boolean {
  const first = record.number === next - 1 ? hash : hashes[record.number]
  // Read before this reader's time: its producer vouched for one record of that number then, and does for this one.
  return first ? sameBytes(first, record.hash) : isSigned(record)
}

const isSigned = (record: TrailRecord) => isSignedBy(record, record.epoch.certificate.publicKey)

/** Nothing is wrong, and the newest record of each producer is signed. */
function isVouchedFor(items: Item[]): boolean {
  const newest = new Map(items.map(({ record }) => [record?.producer, record]))
  const isLinked = items.every(({ faults }) => faults.length === 0)
  return isLinked && [...newest.values()].every((record) => !record || isSigned(record))
}

const recordsOf = (items: Item[]) => items.flatMap(({ record }) => record ?? [])

const placeOf = (record: TrailRecord, where: string) =>
  `record ${record.number} of node ${record.epoch.certificate.name} (${where})`
