/**
 * Makes the records of one producer: seals events under a key that is then gone, links them to the record before, signs. A new epoch of keys begins with each
 * run, and after so many records or so long a time: what was stolen from a memory opens nothing of the next.
 */
import type { Credentials } from '../seal/credentials.js'
import { digest } from '../seal/keys.js'
import { joinEvents } from './event.js'
import { beginEpoch, type Ratchet, sealOnce } from './ratchet.js'
import { encodeHead, noHash, writeRecord } from './record.js'

const epochRecords = 1024
const epochMs = 2 * 60_000

interface Epoch {
  ratchet: Ratchet
  sealedKey: Uint8Array
  first: number
  begun: number
}

export class Sealer {
  readonly #credentials: Credentials
  #epoch: Epoch | undefined
  #number: number
  #previous: Uint8Array

  /** Goes on after so many records, of which this is the last. */
  constructor(credentials: Credentials, count: number, last: Uint8Array | undefined) {
    this.#credentials = credentials
    this.#number = count
    this.#previous = last ? digest(last) : noHash
  }

  /** Hands the next record to `keep`. If that throws, the record never was. */
  seal(packed: readonly Uint8Array[], time: number, keep: (record: Uint8Array) => void): void {
    try {
      const record = this.#next(packed, time)
      keep(record)
      this.#number += 1
      this.#previous = digest(record)
    } catch (error) {
      // Its key was used: the next record, which takes its number, takes a new one.
      this.#epoch = undefined
      throw error
    }
  }

  #next(packed: readonly Uint8Array[], time: number): Uint8Array {
    const { signing, certificate } = this.#credentials
    const { ratchet, sealedKey, first } = this.#epochAt(time)
    const head = encodeHead({
      producer: certificate.holder,
      number: this.#number,
      previous: this.#previous,
      time,
      count: packed.length,
      opening: first === this.#number ? { certificate: certificate.wire, key: sealedKey } : undefined,
    })
    const sealed = ratchet.step((key) => sealOnce(key, head, joinEvents(packed)))
    return writeRecord(head, sealed, signing)
  }

  #epochAt(time: number): Epoch {
    const { auditorKey } = this.#credentials
    const isOver = ({ first, begun }: Epoch) =>
      this.#number - first >= epochRecords || Math.abs(time - begun) >= epochMs
    if (this.#epoch && !isOver(this.#epoch)) return this.#epoch
    this.#epoch?.ratchet.wipe()
    this.#epoch = { ...beginEpoch(auditorKey), first: this.#number, begun: time }
    return this.#epoch
  }
}
