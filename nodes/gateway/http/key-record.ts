/**
 * Keys of the gateway on the audit trail: that one was made, and by whom, stands there before it opens anything, and that one was removed before anybody else is let in.
 * One that has another role, name or end than before is written down as a new one is.
 * Commands change the file of the keys whether the mesh runs or not, so the gateway writes down what it finds changed. What it has written stands in a file beside it.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { EventKind } from '../../../mesh/audit/event.js'
import { writeWhole } from '../../../mesh/disk.js'
import { log } from '../../log.js'
import type { ApiKey, ApiKeys } from './keys.js'

const knownSchema = z.array(
  z.object({ hash: z.string(), name: z.string(), role: z.string(), expires: z.number().optional() }),
)
type Known = z.output<typeof knownSchema>[number]

export class KeyRecord {
  readonly #file: string
  readonly #keys: ApiKeys
  readonly #intend: (kind: EventKind, facts: Record<string, unknown>) => Promise<void>
  /** The list of keys that is written down. */
  #settled: readonly ApiKey[] | undefined
  #settling: Promise<void> | undefined

  /** `intend` writes an event to the trail of the mesh and rejects if that did not take it. */
  constructor(data: string, keys: ApiKeys, intend: (kind: EventKind, facts: Record<string, unknown>) => Promise<void>) {
    this.#file = join(data, 'gateway-keys.recorded.json')
    this.#keys = keys
    this.#intend = intend
  }

  /** Whether the trail has the keys as they are. */
  isSettled(): boolean {
    return this.#keys.list() === this.#settled
  }

  /** Resolves when the trail has every change that was made to the keys so far; rejects with AUDIT_UNAVAILABLE. Costs a look at the file where there is none. */
  async settle(): Promise<void> {
    while (!this.isSettled()) {
      this.#settling ??= this.#write(this.#keys.list()).finally(() => {
        this.#settling = undefined
      })
      await this.#settling
    }
  }

  async #write(keys: readonly ApiKey[]): Promise<void> {
    let known = this.#known()
    const now = new Set(keys.map(({ hash }) => hash))
    for (const gone of known.filter(({ hash }) => !now.has(hash))) {
      const by = this.#keys.removed().find(({ hash }) => hash === gone.hash)?.by
      await this.#note('key.removed', gone, { by: by ?? null })
      known = this.#keep(known.filter(({ hash }) => hash !== gone.hash))
    }
    for (const key of keys) {
      if (known.some((one) => isSame(one, key))) continue
      const { by = null, created, expires = null } = key
      await this.#note('key.added', key, { by, created, expires })
      const others = known.filter(({ hash }) => hash !== key.hash)
      known = this.#keep([...others, { hash: key.hash, name: key.name, role: key.role, expires: key.expires }])
    }
    this.#settled = keys
  }

  #note(kind: 'key.added' | 'key.removed', { name, role, hash }: Known, more: Record<string, unknown>): Promise<void> {
    return this.#intend(kind, { name, role, fingerprint: hash.slice(0, 16), ...more })
  }

  /** After each event: one that is cut off is written twice rather than never. */
  #keep(known: Known[]): Known[] {
    writeWhole(this.#file, JSON.stringify(known))
    return known
  }

  /** None of what cannot be read: it is written twice rather than never, and a damaged note of ours keeps nobody out. */
  #known(): Known[] {
    try {
      return existsSync(this.#file) ? knownSchema.parse(JSON.parse(readFileSync(this.#file, 'utf8'))) : []
    } catch (error) {
      log.warn({ err: error }, 'what is recorded of the keys cannot be read: all are recorded again')
      return []
    }
  }
}

const isSame = (one: Known, { hash, name, role, expires }: ApiKey): boolean =>
  one.hash === hash && one.name === name && one.role === role && one.expires === expires
