/**
 * Which person each task of this node is about. A task is filed where it is asked for; from there the filing travels with its messages, and whatever any node
 * records of the task is sealed to that person's key before it is sealed to the auditors: neither opens it alone, and without the person's key nobody does.
 *
 * A key of the node's own seals up to 1,024 events for a minute, itself sealed to the person's public key: what is written costs no more than a record does,
 * and who wrote it cannot read it again.
 */
import { randomFillSync } from 'node:crypto'
import { encode } from '../codec.js'
import { seal } from '../seal/aead.js'
import { fromHex, hex, sameBytes } from '../seal/keys.js'
import { sodium } from '../seal/sodium.js'
import { readSubjectKey, type SubjectKey } from '../seal/subject.js'
import { type AuditEvent, type EventKind, placeOf, type SealedFacts } from './event.js'

/** Their facts hold figures alone, which costs are added up from, also of one who was erased. */
const impersonal: ReadonlySet<EventKind> = new Set<EventKind>(['model.used'])

/** A task that so many others came after is forgotten; nothing more is expected of it. */
const mostTraces = 65_536
const mostKeys = 1024

const epochEvents = 1024
const epochMs = 60_000

interface Epoch {
  /** The id of the person's key. */
  readonly subject: Uint8Array
  key: Uint8Array
  sealedKey: Uint8Array
  number: number
  readonly end: NodeJS.Timeout
}

export class Filings {
  readonly #rootKey: Uint8Array
  readonly #traces = new Map<string, SubjectKey>()
  /** Those that were read, by their bytes in hex: a signature is checked once. */
  readonly #keys = new Map<string, SubjectKey>()
  readonly #epochs = new Map<string, Epoch>()

  constructor(rootKey: Uint8Array) {
    this.#rootKey = rootKey
  }

  /** What is recorded of this task from now on is about this person. */
  file(trace: string, subject: SubjectKey): void {
    this.#traces.delete(trace)
    this.#traces.set(trace, subject)
    if (this.#traces.size <= mostTraces) return
    const [oldest] = this.#traces.keys()
    if (oldest !== undefined) this.#traces.delete(oldest)
  }

  /** As a message says that came with the task. Throws UNAUTHENTIC for a key that the authority did not give out. */
  learn(trace: string, wire: Uint8Array): void {
    const known = this.#traces.get(trace)
    this.file(trace, known && sameBytes(known.wire, wire) ? known : this.#read(wire))
  }

  /** To be sent along with what is asked for the task. */
  of(trace: string): SubjectKey | undefined {
    return trace === '' ? undefined : this.#traces.get(trace)
  }

  /** The facts of an event as they are written; undefined where they are about nobody. */
  seal(time: number, event: AuditEvent): SealedFacts | undefined {
    const subject = impersonal.has(event.kind) ? undefined : this.of(event.trace)
    if (!subject) return undefined
    const epoch = this.#epochOf(subject)
    const number = epoch.number++
    const sealed = seal(epoch.key, number, placeOf({ time, ...event }), encode(event.facts))
    return { subject: epoch.subject, key: epoch.sealedKey, number, sealed }
  }

  /** Forgets the keys that it seals under. */
  close(): void {
    for (const id of [...this.#epochs.keys()]) this.#end(id)
  }

  #read(wire: Uint8Array): SubjectKey {
    const text = hex(wire)
    const known = this.#keys.get(text)
    if (known) return known
    const key = readSubjectKey(wire, this.#rootKey)
    if (this.#keys.size >= mostKeys) this.#keys.clear()
    this.#keys.set(text, key)
    return key
  }

  #epochOf({ id, publicKey }: SubjectKey): Epoch {
    const epoch = this.#epochs.get(id)
    if (epoch && epoch.number < epochEvents) return epoch
    this.#end(id)
    const [oldest] = this.#epochs.keys()
    if (this.#epochs.size >= mostKeys && oldest !== undefined) this.#end(oldest)
    // Outside the heap of JavaScript, as the keys of records are.
    const key = randomFillSync(new Uint8Array(new ArrayBuffer(32)))
    const begun = {
      subject: fromHex(id),
      key,
      sealedKey: sodium.crypto_box_seal(key, publicKey),
      number: 0,
      end: setTimeout(() => this.#end(id), epochMs).unref(),
    }
    this.#epochs.set(id, begun)
    return begun
  }

  #end(id: string): void {
    const epoch = this.#epochs.get(id)
    if (!epoch) return
    clearTimeout(epoch.end)
    epoch.key.fill(0)
    this.#epochs.delete(id)
  }
}
