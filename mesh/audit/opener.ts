/** Opens records for who holds the auditors' key, and what they say of persons as far as their keys are there. Records of one producer are best opened in their order: each key is one step from the last. */
import { ClawmeshError } from '../../policies/errors.js'
import type { AgreementKey } from '../seal/keys.js'
import type { SubjectSecrets } from '../seal/subject-store.js'
import { type DatedEvent, type PackedEvent, splitEvents } from './event.js'
import { FactsOpener } from './facts.js'
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
  readonly #facts: FactsOpener

  /** Without `subjects` no key of a person is there. */
  constructor(auditor: AgreementKey, subjects: SubjectSecrets = { secretOf: () => undefined }) {
    this.#auditor = auditor
    this.#facts = new FactsOpener(subjects)
  }

  /** Throws AUDIT_BROKEN if the auditors' key does not open it, or if it holds other than its head says; AUDIT_UNAVAILABLE if the keys of persons cannot be looked at. */
  open(record: TrailRecord): DatedEvent[] {
    return this.#unpack(record).map((event) => this.#facts.open(event))
  }

  /** Whether what was opened before may no longer be shown. */
  isErased(event: DatedEvent): boolean {
    return this.#facts.isErased(event)
  }

  #unpack(record: TrailRecord): PackedEvent[] {
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

  /** The keys under which the facts about persons in a record are sealed, in the order of its events; undefined for those that were erased, or are not sealed. */
  factKeysOf(record: TrailRecord): (Uint8Array | undefined)[] {
    return this.#unpack(record).map(({ sealed }) => {
      const key = sealed && this.#facts.keyOf(sealed)
      return key === 'erased' ? undefined : key
    })
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
