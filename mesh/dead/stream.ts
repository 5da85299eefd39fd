/** The dead letters of a mesh, to whoever holds the auditors' key. */
import { ClawmeshError } from '../../policies/errors.js'
import type { Authority } from '../seal/authority.js'
import type { RemovableLog } from '../transport/transport.js'
import { type DeadLetter, readDeadLetter } from './letter.js'

/**
 * What one node writes has 16 places on the stream, by the first digit of the sender's holder, and each place keeps the newest 32 letters of at most 8 KiB. So a flood pushes out
 * letters of its own place first, and a node that writes only to harm has a quarter of the bytes, which the broker sets aside.
 */
export const deadLimits = { perSubject: 32, messages: 20_000, messageBytes: 8 * 1024, bytes: 16 * 1024 * 1024 } as const

/** Its place on the stream. */
export interface Kept {
  readonly letter: DeadLetter
  readonly sequence: number
}

export class DeadStream {
  readonly #log: RemovableLog
  readonly #authority: Pick<Authority, 'root' | 'auditor'>

  constructor(log: RemovableLog, authority: Pick<Authority, 'root' | 'auditor'>) {
    this.#log = log
    this.#authority = authority
  }

  /** Oldest first, and how many records are none. */
  async list(): Promise<{ kept: Kept[]; unreadable: number }> {
    const kept: Kept[] = []
    let unreadable = 0
    for await (const { sequence, subject, bytes } of this.#log.read()) {
      try {
        const letter = readDeadLetter(bytes, this.#authority.root.publicKey, this.#authority.auditor)
        // What one node wrote it wrote in its own place.
        if (!subject.includes(`.${letter.writer.holder}.`))
          throw new ClawmeshError('UNAUTHENTIC', 'It stands in another place.')
        kept.push({ letter, sequence })
      } catch {
        unreadable += 1
      }
    }
    return { kept, unreadable }
  }

  /** The one whose id begins so. Throws NOT_FOUND, or USAGE where more than one does. */
  async find(id: string): Promise<Kept> {
    const found = (await this.list()).kept.filter(({ letter }) => letter.id.startsWith(id))
    const [only, another] = found
    if (only && !another) return only
    throw new ClawmeshError(
      only ? 'USAGE' : 'NOT_FOUND',
      `${only ? 'More than one' : 'No'} dead letter begins with "${id}".`,
      {
        hint: '`clawmesh dead list` has their ids.',
      },
    )
  }

  drop({ sequence }: Kept): Promise<void> {
    return this.#log.remove(sequence)
  }
}
