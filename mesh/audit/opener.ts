/** Opens records for who holds the auditors' key. Records of one producer are best opened in their order: each key is one step from the last. */
import { ClawmeshError } from '../../policies/errors.js'
import type { AgreementKey } from '../seal/keys.js'
import { type DatedEvent, splitEvents } from './event.js'
import { openEpoch, openOnce, type Ratchet } from './ratchet.js'
import type { Epoch, TrailRecord } from './reader.js'

interface Place {
  epoch: Epoch
  ratchet: Ratchet
  /** The record whose key the ratchet hands out next. */
  next: number
}

export class Opener {
  readonly #auditor: AgreementKey
  readonly #places = new Map<string, Place>()

  constructor(auditor: AgreementKey) {
    this.#auditor = auditor
  }

  /** Throws AUDIT_BROKEN if the auditors' key does not open it, or if it holds other than its head says. */
  open(record: TrailRecord): DatedEvent[] {
    try {
      const place = this.#placeOf(record)
      place.ratchet.skip(record.number - place.next)
      place.next = record.number + 1
      const events = splitEvents(place.ratchet.step((key) => openOnce(key, record.head, record.sealed)))
      if (events.length !== record.count) throw new Error(`it holds ${events.length} events, not ${record.count}`)
      return events
    } catch (cause) {
      const { number, epoch } = record
      const place = `record ${number} of node ${epoch.certificate.name}`
      throw new ClawmeshError('AUDIT_BROKEN', `The events of ${place} cannot be opened with this auditor key.`, {
        cause,
      })
    }
  }

  /** The key of one record alone: whoever is given it can open that one, and no other. */
  keyOf(record: TrailRecord): Uint8Array {
    const ratchet = openEpoch(record.epoch.key, this.#auditor)
    ratchet.skip(record.number - record.epoch.first)
    return ratchet.step((key) => Uint8Array.from(key))
  }

  /** Where its key is not behind yet; from the beginning of the epoch if need be. */
  #placeOf({ producer, number, epoch }: TrailRecord): Place {
    const known = this.#places.get(producer)
    if (known && known.epoch === epoch && known.next <= number) return known
    const place = { epoch, ratchet: openEpoch(epoch.key, this.#auditor), next: epoch.first }
    this.#places.set(producer, place)
    return place
  }
}
