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
import { createHmac, randomFillSync } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { binary, decode, encode } from '../codec.js'
import { writeWhole } from '../disk.js'
import { type AgreementKey, agreementKey, fingerprint, type SigningKey, utf8 } from './keys.js'
import { sodium } from './sodium.js'
import { issueSubjectKey, type SubjectKey } from './subject.js'

/** What readers of the trail need: the secret key, that it was erased, or undefined where it is not known. */
export interface SubjectSecrets {
  secretOf(id: string): AgreementKey | 'erased' | undefined
}

/** Where the files are. */
export interface Shelf {
  names(): string[]
  read(name: string): Uint8Array
  has(name: string): boolean
  /** Whole or not at all, also after a crash. */
  write(name: string, bytes: Uint8Array): void
  /** As far as the file system lets it: overwritten, then gone. */
  destroy(name: string): void
}

/** How long a reader may go on with a key before it looks whether it is still there. */
const lookAgainMs = 500
const longestName = 200

const sealedSchema = z.tuple([z.string(), binary])

export class SubjectStore implements SubjectSecrets {
  readonly #shelf: Shelf
  readonly #root: SigningKey
  readonly #auditor: AgreementKey
  readonly #known = new Map<string, SubjectKey & { file: string }>()
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
      if (known && this.#shelf.has(known.file) && !this.#shelf.has(tombOf(known.id))) return known
      const [file] = this.#filesOf(name).filter((each) => !this.#shelf.has(tombOf(idOf(each))))
      const key = file === undefined ? this.#make(name) : this.#load(file)
      this.#known.set(name, key)
      return key
    })
  }

  /** Throws AUDIT_UNAVAILABLE if there is a file and it cannot be read. */
  secretOf(id: string): AgreementKey | 'erased' | undefined {
    const seen = this.#seen.get(id)
    const now = performance.now()
    if (seen && now - seen.at < lookAgainMs) return seen.found
    const found = this.#using(() => {
      if (this.#shelf.has(tombOf(id))) return 'erased'
      const file = this.#fileOf(id)
      return file === undefined ? undefined : this.#open(file).key
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
      const file = this.#shelf.has(tombOf(id)) ? undefined : this.#fileOf(id)
      return file === undefined ? undefined : this.#open(file).name
    })
  }

  /** The names that have a key, in order. */
  names(): string[] {
    return this.#using(() => {
      const files = this.#shelf.names().filter((file) => file.endsWith(keyEnd) && !this.#shelf.has(tombOf(idOf(file))))
      return [...new Set(files.map((file) => this.#open(file).name))].sort()
    })
  }

  /** Ends the keys of a name. What is sealed to them can be read by nobody from then on. Broken off anywhere, it is done by doing it again. */
  erase(name: string, now: number): void {
    this.#using(() => {
      for (const file of this.#filesOf(name)) {
        const id = idOf(file)
        if (!this.#shelf.has(tombOf(id))) this.#shelf.write(tombOf(id), utf8(`${JSON.stringify({ erased: now })}\n`))
        this.#shelf.destroy(file)
        this.#seen.delete(id)
      }
      this.#known.delete(name)
    })
  }

  #make(name: string): SubjectKey & { file: string } {
    const pair = agreementKey()
    const key = issueSubjectKey(pair.publicKey, this.#root)
    const sealed = sodium.crypto_box_seal(encode([name, pair.secretKey]), this.#auditor.publicKey)
    pair.secretKey.fill(0)
    const file = `${this.#tagOf(name)}-${key.id}${keyEnd}`
    this.#shelf.write(file, Buffer.concat([pair.publicKey, sealed]))
    return { ...key, file }
  }

  #load(file: string): SubjectKey & { file: string } {
    return { ...issueSubjectKey(this.#open(file).key.publicKey, this.#root), file }
  }

  #open(file: string): { name: string; key: AgreementKey } {
    const bytes = this.#shelf.read(file)
    const publicKey = bytes.slice(0, 32)
    const { publicKey: to, secretKey: by } = this.#auditor
    const [name, secretKey] = sealedSchema.parse(decode(sodium.crypto_box_seal_open(bytes.subarray(32), to, by)))
    if (fingerprint(publicKey) !== idOf(file) || !file.startsWith(`${this.#tagOf(name)}-`))
      throw new Error(`${file} holds another key than its name says`)
    return { name, key: { publicKey, secretKey } }
  }

  #fileOf(id: string): string | undefined {
    const known = this.#files.get(id)
    if (known !== undefined && this.#shelf.has(known)) return known
    this.#files.clear()
    for (const file of this.#shelf.names()) if (file.endsWith(keyEnd)) this.#files.set(idOf(file), file)
    return this.#files.get(id)
  }

  #filesOf(name: string): string[] {
    const tag = this.#tagOf(name)
    return this.#shelf.names().filter((file) => file.startsWith(`${tag}-`) && file.endsWith(keyEnd))
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

export function folderShelf(folder: string): Shelf {
  const pathOf = (name: string) => join(folder, name)
  return {
    names: () => (existsSync(folder) ? readdirSync(folder).sort() : []),
    read: (name) => new Uint8Array(readFileSync(pathOf(name))),
    has: (name) => existsSync(pathOf(name)),
    write: (name, bytes) => {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      writeWhole(pathOf(name), bytes)
    },
    destroy: (name) => {
      const file = openSync(pathOf(name), 'r+')
      try {
        const noise = randomFillSync(new Uint8Array(fstatSync(file).size))
        for (let at = 0; at < noise.length; ) at += writeSync(file, noise, at, noise.length - at, at)
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
      unlinkSync(pathOf(name))
      const within = openSync(folder, 'r')
      try {
        fsyncSync(within)
      } finally {
        closeSync(within)
      }
    },
  }
}

/** For an authority that lives in memory only. */
export function memoryShelf(): Shelf {
  const files = new Map<string, Uint8Array>()
  return {
    names: () => [...files.keys()].sort(),
    read: (name) => files.get(name) ?? new Uint8Array(),
    has: (name) => files.has(name),
    write: (name, bytes) => void files.set(name, Uint8Array.from(bytes)),
    destroy: (name) => void files.delete(name),
  }
}
