/** Opens facts about persons, for whoever has their keys; what was erased is said to be. */
import { decode } from '../codec.js'
import { open } from '../seal/aead.js'
import { hex } from '../seal/keys.js'
import { sodium } from '../seal/sodium.js'
import type { SubjectSecrets } from '../seal/subject-store.js'
import { type DatedEvent, factsSchema, type PackedEvent, placeOf, type SealedFacts } from './event.js'

/** What readers see of an event whose person was erased. */
export const erasedFacts = { erased: true } as const

const mostKeys = 256

export class FactsOpener {
  readonly #secrets: SubjectSecrets
  /** What a node sealed under, by the sealed key in hex. */
  readonly #keys = new Map<string, Uint8Array>()

  constructor(secrets: SubjectSecrets) {
    this.#secrets = secrets
  }

  /** Throws AUDIT_UNAVAILABLE if the keys of persons cannot be looked at. */
  open({ facts, sealed, ...event }: PackedEvent): DatedEvent {
    if (!sealed) return { ...event, facts: facts ?? {} }
    const subject = hex(sealed.subject)
    const key = this.keyOf(sealed)
    if (key === 'erased') return { ...event, subject, facts: erasedFacts }
    const opened = key && openSealed(event, sealed, key)
    if (opened) return { ...event, subject, facts: opened }
    return { ...event, subject, facts: { unreadable: notOpened }, unreadable: notOpened }
  }

  /** Whether what was opened before may no longer be shown. */
  isErased({ subject, facts }: DatedEvent): boolean {
    return subject !== undefined && facts !== erasedFacts && this.#secrets.secretOf(subject) === 'erased'
  }

  /** What some facts are sealed under: of no use without the key of their record. */
  keyOf({ subject, key }: SealedFacts): Uint8Array | 'erased' | undefined {
    const secret = this.#secrets.secretOf(hex(subject))
    if (!secret || secret === 'erased') return secret
    const text = hex(key)
    const known = this.#keys.get(text)
    if (known) return known
    const opened = attempt(() => sodium.crypto_box_seal_open(key, secret.publicKey, secret.secretKey))
    if (!opened) return undefined
    if (this.#keys.size >= mostKeys) this.#keys.clear()
    this.#keys.set(text, opened)
    return opened
  }
}

/** Undefined for what this key does not open, and for what is no fact. */
export const openSealed = (
  event: Omit<PackedEvent, 'facts' | 'sealed'>,
  { sealed, number }: SealedFacts,
  key: Uint8Array,
): DatedEvent['facts'] | undefined =>
  attempt(() => factsSchema.parse(decode(open(key, number, placeOf(event), sealed))))

const notOpened =
  'Its facts do not open: the key of the person whom they are about is not there and was not erased, or is another one.'

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
