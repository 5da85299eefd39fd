/**
 * The authority's keys of data subjects, one file each: content that is sealed to one can be read as long as its file is there, and never after.
 *
 *     TAG-ID.key      the public key, and name and secret key sealed to the auditors
 *     ID.erased       that this key was erased, and when: nothing of whom
 *
 * 1. TAG is made of the name under a secret of the auditors', so that a list of the files names nobody, and a name finds its files.
 * 2. A name has one key at a time, made when it is first asked for. After an erasure it gets a new one.
 * 3. What is erased is first said to be so, for good, and then destroyed. A crash in between leaves a file that nobody reads, and the next erasure ends it.
 * 4. What cannot be read is an error and no reason to make a new key: content must not be sealed to a key that cannot be erased by its name.
 */
import { createHmac } from 'node:crypto'
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { binary, decode, encode } from '../codec.js'
import { type AgreementKey, agreementKey, fingerprint, type SigningKey, utf8 } from './keys.js'
import type { Shelf } from './shelf.js'
import { sodium } from './sodium.js'
import { issueSubjectKey, type SubjectKey } from './subject.js'

/** What readers of the trail need: the secret key, that it was erased, or undefined where it is not known. */
export interface SubjectSecrets {
  secretOf(id: string): AgreementKey | 'erased' | undefined
}

/** How long a reader may go on with a key before it looks whether it is still there. */
const lookAgainMs = 500
const longestName = 200

interface Opened {
  name: string
  key: AgreementKey
}

interface Known {
  key: SubjectKey
  file: string
  stamp: string | undefined
}

const sealedSchema = z.tuple([z.string(), binary])

export class SubjectStore implements SubjectSecrets {
  readonly #shelf: Shelf
  readonly #root: SigningKey
  readonly #auditor: AgreementKey
  readonly #known = new Map<string, Known>()
  readonly #seen = new Map<string, { found: AgreementKey | 'erased' | undefined; at: number }>()
  readonly #files = new Map<string, string>()

  constructor(shelf: Shelf, { root, auditor }: { root: SigningKey; auditor: AgreementKey }) {
    this.#shelf = shelf
    this.#root = root
    this.#auditor = auditor
  }

  /** The key that content about this person is sealed to from now on. Throws USAGE for what is no name, AUDIT_UNAVAILABLE if the store cannot be used. */
  keyOf(name: string): SubjectKey {
    checkName(name)
    return this.#using(() => {
      const known = this.#known.get(name)
      if (known && this.#shelf.stamp(known.file) === known.stamp && !this.#isErased(known.key.id)) return known.key
      const found = this.#filesOf(name).find((each) => !this.#isErased(idOf(each)))
      const file = found ?? this.#make(name)
      const stamp = this.#shelf.stamp(file)
      const key = issueSubjectKey(this.#open(file).key.publicKey, this.#root)
      this.#known.set(name, { key, file, stamp })
      return key
    })
  }

  /** Undefined also where its file is damaged: what is about others can be read all the same. Throws AUDIT_UNAVAILABLE if the folder or the file cannot be read. */
  secretOf(id: string): AgreementKey | 'erased' | undefined {
    const seen = this.#seen.get(id)
    const now = performance.now()
    if (seen && now - seen.at < lookAgainMs) return seen.found
    const found = this.#using(() => {
      if (this.#isErased(id)) return 'erased'
      const file = this.#fileOf(id)
      return file === undefined ? undefined : this.#look(file)?.key
    })
    this.#seen.set(id, { found, at: now })
    return found
  }

  /** The keys that this name has now: one, or none; more where an erasure was cut short. */
  idsOf(name: string): string[] {
    return this.#using(() => this.#filesOf(name).map(idOf))
  }

  /** Whose key it is, if it is there. */
  nameOf(id: string): string | undefined {
    return this.#using(() => {
      const file = this.#isErased(id) ? undefined : this.#fileOf(id)
      return file === undefined ? undefined : this.#look(file)?.name
    })
  }

  /** The names that have a key, in order; whose file is damaged it cannot say. */
  names(): string[] {
    return this.#using(() => {
      const files = this.#shelf.names().filter((file) => file.endsWith(keyEnd) && !this.#isErased(idOf(file)))
      return [...new Set(files.flatMap((file) => this.#look(file)?.name ?? []))].sort()
    })
  }

  /** Ends the keys of a name. What is sealed to them can be read by nobody from then on. Broken off anywhere, it is done by doing it again. */
  erase(name: string, now: number): void {
    this.#using(() => {
      for (const file of this.#filesOf(name)) {
        const id = idOf(file)
        if (!this.#isErased(id)) this.#shelf.write(tombOf(id), utf8(`${JSON.stringify({ erased: now })}\n`))
        this.#shelf.destroy(file)
        this.#seen.delete(id)
      }
      this.#known.delete(name)
    })
  }

  /** Returns its file. */
  #make(name: string): string {
    const pair = agreementKey()
    const sealed = sodium.crypto_box_seal(encode([name, pair.secretKey]), this.#auditor.publicKey)
    pair.secretKey.fill(0)
    const file = `${this.#tagOf(name)}-${fingerprint(pair.publicKey)}${keyEnd}`
    this.#shelf.write(file, Buffer.concat([pair.publicKey, sealed]))
    return file
  }

  #open(file: string): Opened {
    const opened = this.#look(file)
    if (opened) return opened
    throw new Error(`${file} is damaged`)
  }

  /** Undefined for what this store did not write there. */
  #look(file: string): Opened | undefined {
    const bytes = this.#shelf.read(file)
    try {
      return this.#unpack(file, bytes)
    } catch {
      return undefined
    }
  }

  #unpack(file: string, bytes: Uint8Array): Opened {
    const publicKey = bytes.slice(0, 32)
    const { publicKey: to, secretKey: by } = this.#auditor
    const [name, secretKey] = sealedSchema.parse(decode(sodium.crypto_box_seal_open(bytes.subarray(32), to, by)))
    if (fingerprint(publicKey) !== idOf(file) || !file.startsWith(`${this.#tagOf(name)}-`))
      throw new Error(`${file} holds another key than its name says`)
    return { name, key: { publicKey, secretKey } }
  }

  #fileOf(id: string): string | undefined {
    const known = this.#files.get(id)
    if (known !== undefined && this.#shelf.stamp(known) !== undefined) return known
    this.#files.clear()
    for (const file of this.#shelf.names()) if (file.endsWith(keyEnd)) this.#files.set(idOf(file), file)
    return this.#files.get(id)
  }

  #filesOf(name: string): string[] {
    const tag = this.#tagOf(name)
    return this.#shelf.names().filter((file) => file.startsWith(`${tag}-`) && file.endsWith(keyEnd))
  }

  #isErased(id: string): boolean {
    return this.#shelf.stamp(tombOf(id)) !== undefined
  }

  #tagOf(name: string): string {
    return createHmac('sha256', this.#auditor.secretKey).update(`clawmesh subject\0${name}`).digest('hex').slice(0, 32)
  }

  #using<T>(work: () => T): T {
    try {
      return work()
    } catch (cause) {
      if (cause instanceof ClawmeshError && cause.code === 'AUDIT_UNAVAILABLE') throw cause
      throw new ClawmeshError(
        'AUDIT_UNAVAILABLE',
        `The keys of data subjects cannot be used: ${cause instanceof Error ? cause.message : String(cause)}.`,
        {
          hint: 'They lie in the folder `authority/subjects` of the data folder. Nothing is recorded of a person under a key that could not be erased: mend the folder or restore it from a backup.',
          cause,
        },
      )
    }
  }
}

const keyEnd = '.key'
const idLength = 32
const idOf = (file: string) => file.slice(-keyEnd.length - idLength, -keyEnd.length)
const tombOf = (id: string) => `${id}.erased`

/** Throws USAGE. */
export function checkName(name: string): void {
  if (name.trim() === name && name !== '' && name.length <= longestName && !/\p{Cc}/u.test(name)) return
  throw new ClawmeshError('USAGE', `${JSON.stringify(name.slice(0, longestName))} is no name of a data subject.`, {
    hint: `Give 1 to ${longestName} characters, without line breaks or spaces around them.`,
  })
}
