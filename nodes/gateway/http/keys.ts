/**
 * The API keys of the gateway, in one file of the data folder. It holds no key, only the SHA-256 of each: a key has 256 random bits, so nothing slower is needed.
 *
 * 1. The file is the truth: a running gateway looks at each request whether it was replaced, so a removed key is refused from then on.
 * 2. A file that cannot be read lets nobody in.
 */
import { timingSafeEqual } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { writeWhole } from '../../../mesh/disk.js'
import { digest, fromHex, hex, randomBytes, utf8 } from '../../../mesh/seal/keys.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { type PeopleRole, peopleRoles } from '../../../policies/people.js'
import { takeLock } from '../../lock.mjs'

const keySchema = z.object({
  name: z.string(),
  role: z.enum(peopleRoles),
  /** SHA-256 of the key, hex. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  /** Milliseconds since 1970; one without an end is good until it is removed. */
  created: z.int(),
  expires: z.int().optional(),
  /** The account that made it. */
  by: z.string().optional(),
})
export type ApiKey = z.output<typeof keySchema>

/** Who asks. */
export type Principal = Pick<ApiKey, 'name' | 'role'>

/** Kept until there are many more: who removed a key is to be written down when the gateway runs. */
const removedSchema = z.object({ hash: z.string(), by: z.string() })
const mostRemoved = 1000

const fileSchema = z.object({ keys: z.array(keySchema), removed: z.array(removedSchema).default([]) })
type KeyFile = z.output<typeof fileSchema>
const keyForm = /^cm_[A-Za-z0-9_-]{43}$/
const nameForm = /^[a-z0-9][a-z0-9-]{0,62}$/

export class ApiKeys {
  readonly file: string
  readonly #lock: string
  #read: { stamp: string; file: KeyFile } | undefined

  /** `data`: the data folder of the mesh. */
  constructor(data: string) {
    this.file = join(data, 'gateway-keys.json')
    this.#lock = join(data, 'gateway-keys.lock')
  }

  /** The same array for as long as the file is. */
  list(): readonly ApiKey[] {
    return this.#look().keys
  }

  /** Who removed which, by its hash. */
  removed(): readonly { hash: string; by: string }[] {
    return this.#look().removed
  }

  #look(): KeyFile {
    const stamp = stampOf(this.file)
    if (this.#read?.stamp !== stamp)
      this.#read = {
        stamp,
        file: stamp === '' ? { keys: [], removed: [] } : parseFile(readFileSync(this.file, 'utf8'), this.file),
      }
    return this.#read.file
  }

  /** Whose key this is; `expired` for one whose time is over. */
  find(given: string, now: number): Principal | 'expired' | undefined {
    if (!keyForm.test(given)) return undefined
    const hash = digest(utf8(given))
    // All are compared, each in constant time: how long it takes says nothing of which one it was.
    const [found] = this.list().filter((key) => timingSafeEqual(fromHex(key.hash), hash))
    if (!found) return undefined
    return found.expires !== undefined && now >= found.expires ? 'expired' : { name: found.name, role: found.role }
  }

  /** The new key: it is told this once and kept nowhere. */
  add(name: string, role: PeopleRole, now: number, lifeMs?: number): string {
    if (!nameForm.test(name))
      throw new ClawmeshError('USAGE', `"${name}" is no name for a key.`, {
        hint: 'Use up to 63 small letters, digits and hyphens.',
      })
    const key = `cm_${Buffer.from(randomBytes(32)).toString('base64url')}`
    this.#change(({ keys, removed }) => {
      if (keys.some((other) => other.name === name))
        throw new ClawmeshError('USAGE', `There is a key named "${name}" already.`, {
          hint: 'Choose another name, or remove that one first.',
        })
      const expires = lifeMs === undefined ? {} : { expires: now + lifeMs }
      const made = { name, role, hash: hex(digest(utf8(key))), created: now, ...expires, by: account() }
      return { keys: [...keys, made], removed }
    })
    return key
  }

  remove(name: string): void {
    this.#change(({ keys, removed }) => {
      const gone = keys.find((key) => key.name === name)
      if (!gone)
        throw new ClawmeshError('USAGE', `There is no key named "${name}".`, {
          hint: `Keys: ${keys.map((key) => key.name).join(', ') || 'none'}.`,
        })
      return {
        keys: keys.filter((key) => key !== gone),
        removed: [...removed, { hash: gone.hash, by: account() }].slice(-mostRemoved),
      }
    })
  }

  #change(change: (file: KeyFile) => KeyFile): void {
    const lock = takeLock(this.#lock)
    if (!('release' in lock))
      throw new ClawmeshError('DATA_IN_USE', `Process ${lock.holder} is changing the keys.`, { hint: 'Try again.' })
    try {
      writeWhole(this.file, JSON.stringify(change(this.#look()), null, 2))
    } finally {
      lock.release()
    }
  }
}

/** Of this machine, under which the command runs. */
function account(): string {
  try {
    return userInfo().username
  } catch {
    return `user ${process.geteuid?.()}`
  }
}

/** Another one for each file that was put there; empty for none. */
function stampOf(file: string): string {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false })
  return found ? `${found.ino} ${found.mtimeNs} ${found.ctimeNs} ${found.size}` : ''
}

function parseFile(content: string, file: string): KeyFile {
  try {
    return fileSchema.parse(JSON.parse(content))
  } catch (cause) {
    throw new ClawmeshError('USAGE', `${file} cannot be read, so no key is good.`, {
      hint: 'Restore it from a backup, or remove it and make new keys.',
      cause,
    })
  }
}
