/**
 * Follows the chains of an audit stream, message by message, and trusts only the root key. It can stop anywhere and go on from its state later.
 *
 * 1. A record is given out once: what its producer repeated, byte for byte, after a crash is left out.
 * 2. Nothing of a message is given out before the signatures that it stands under are checked. A record holds the hash of the whole record before it, so
 *    the signature of the last record of a run vouches for all of the run; only if something is wrong is each one looked at, to name the place.
 */
import { ClawmeshError } from '../../policies/errors.js'
import { decode } from '../codec.js'
import { readCertificate } from '../seal/certificate.js'
import { fromHex, hex, sameBytes, verifies } from '../seal/keys.js'
import type { Stored } from '../transport/transport.js'
import { noHash, type ReadRecord, readRecord } from './record.js'

export interface Fault {
  /** For people: "record 17 of node worker-2 (stream message 40)". */
  place: string
  what: string
}

/** The end of one producer's chain. */
export interface Head {
  name: string
  certificate: Uint8Array
  publicKey: Uint8Array
  next: number
  hash: Uint8Array
  /** By number, as far as this reader has read them itself. */
  hashes: Uint8Array[]
}

/** A head as text: all that is needed to go on from it. Byte strings in hex. */
export interface HeadState {
  certificate: string
  next: number
  hash: string
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

  /** The new records of a stream message, in order. */
  take({ sequence, bytes }: Stored): ReadRecord[] {
    const place = `stream message ${sequence}`
    return this.follow(this.#batch(bytes, place), place)
  }

  /** The same for records that were found in another place, which is named. */
  follow(batch: Uint8Array[], place: string): ReadRecord[] {
    const before = this.#faults.length
    const fresh: { record: ReadRecord; head: Head }[] = []
    for (const bytes of batch) {
      const record = this.#attempt(() => readRecord(bytes), place)
      const head = record && this.#headOf(record, place)
      if (head && this.#link(record, head, place)) fresh.push({ record, head })
    }
    const last = new Map(fresh.map(({ record, head }) => [head, record]))
    const isVouchedFor = [...last].every(([head, record]) => isSigned(record, head))
    if (!isVouchedFor || this.#faults.length > before) {
      for (const { record, head } of fresh) {
        if (!isSigned(record, head))
          this.#faults.push({ place: placeOf(record, head, place), what: 'its signature is not that of its producer' })
      }
    }
    return fresh.map(({ record }) => record)
  }

  nameOf(producer: string): string {
    return this.heads.get(producer)?.name ?? producer
  }

  state(): HeadState[] {
    return [...this.heads.values()].map(({ certificate, next, hash }) => ({
      certificate: hex(certificate),
      next,
      hash: hex(hash),
    }))
  }

  /** Goes on where another reader stopped. */
  resume(state: HeadState[]): void {
    for (const { certificate, next, hash } of state) {
      const { holder, name, publicKey } = readCertificate(fromHex(certificate), this.#rootKey)
      const head = { name, publicKey, next, hash: fromHex(hash), hashes: [], certificate: fromHex(certificate) }
      this.heads.set(holder, head)
    }
  }

  #batch(bytes: Uint8Array, place: string): Uint8Array[] {
    const batch = this.#attempt(() => decode(bytes), place)
    if (batch === undefined) return []
    if (Array.isArray(batch) && batch.every((record) => record instanceof Uint8Array)) return batch
    this.#faults.push({ place, what: 'it is no batch of records' })
    return []
  }

  /** The state of the record's chain, begun by a record that brings a certificate of its producer. */
  #headOf(record: ReadRecord, place: string): Head | undefined {
    const known = this.heads.get(record.producer)
    const wire = record.certificate
    if (!wire) {
      if (!known) {
        const what = `the chain of producer ${record.producer} does not begin with its certificate`
        this.#faults.push({ place, what })
      }
      return known
    }
    const certificate = this.#attempt(() => readCertificate(wire, this.#rootKey), place)
    if (!certificate) return undefined
    if (certificate.holder !== record.producer) {
      this.#faults.push({ place, what: `the certificate is that of another node, ${certificate.name}` })
      return undefined
    }
    if (known) return known
    const { name, publicKey } = certificate
    const head = { name, publicKey, next: 0, hash: noHash, hashes: [], certificate: wire }
    this.heads.set(record.producer, head)
    return head
  }

  /** Whether the record is a new one; false for a faithful repetition. */
  #link(record: ReadRecord, head: Head, where: string): boolean {
    const place = placeOf(record, head, where)
    if (record.number < head.next) return this.#isOther(record, head, place)
    if (record.number > head.next) {
      const missing = record.number - head.next
      const what = `${missing} record${missing > 1 ? 's' : ''} before it (from ${head.next}) ${missing > 1 ? 'are' : 'is'} missing`
      this.#faults.push({ place, what })
    } else if (!sameBytes(record.previous, head.hash)) {
      this.#faults.push({ place, what: 'it does not continue the record before it' })
    }
    head.next = record.number + 1
    head.hash = record.hash
    head.hashes[record.number] = record.hash
    return true
  }

  #isOther(record: ReadRecord, head: Head, place: string): boolean {
    const first = record.number === head.next - 1 ? head.hash : head.hashes[record.number]
    // Read before this reader's time: its producer vouched for one record of that number then, and does for this one.
    const isRepetition = first ? sameBytes(first, record.hash) : isSigned(record, head)
    if (!isRepetition)
      this.#faults.push({ place, what: 'it stands here a second time, with other content or out of order' })
    return !isRepetition
  }

  #attempt<T>(read: () => T, place: string): T | undefined {
    try {
      return read()
    } catch (error) {
      this.#faults.push({ place, what: ClawmeshError.from(error).message })
      return undefined
    }
  }
}

const isSigned = (record: ReadRecord, head: Head) => verifies('audit', record.body, record.signature, head.publicKey)

const placeOf = (record: ReadRecord, head: Head, where: string) =>
  `record ${record.number} of node ${head.name} (${where})`
