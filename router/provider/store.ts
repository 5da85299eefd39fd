/**
 * Who may be asked elsewhere, with which key: one file that only its owner can read, sealed by a key of the mesh.
 *
 *     const store = new ProviderStore(path, key)
 *     store.add('frontier', { form: 'openai', url: 'https://api.example.com/v1', key: '…', models: ['large'] })
 */
import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { isIPv4 } from 'node:net'
import { z } from 'zod'
import { writeWhole } from '../../mesh/disk.js'
import { openWith, sealWith } from '../../mesh/seal/box.js'
import { ClawmeshError } from '../../policies/errors.js'
import { formNames } from './form.js'

const providerSchema = z.strictObject({
  form: z.enum(formNames),
  /** Up to and with the version: `https://api.example.com/v1`. */
  url: z.url().refine(isProtected, 'must begin with https://; plain http is for this machine alone'),
  key: z.string().min(1),
  models: z.array(z.string().min(1)).min(1),
})
const nameSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be small letters, digits and dashes')
const storeSchema = z.record(nameSchema, providerSchema)

export type Provider = z.output<typeof providerSchema>
export type Providers = ReadonlyMap<string, Provider>

/** What it is sealed for: nothing else that the mesh seals opens as a key store. */
const bound = new TextEncoder().encode('clawmesh providers 1')

export class ProviderStore {
  readonly #path: string
  readonly #key: Uint8Array

  /** @param key 32 bytes */
  constructor(path: string, key: Uint8Array) {
    this.#path = path
    this.#key = key
  }

  /**
   * Nobody, where there is no file yet.
   * @throws ClawmeshError DENIED for a file that others can read, UNAUTHENTIC for one that another mesh sealed or that was changed, USAGE for one that
   *   cannot be read or does not hold
   */
  read(): Providers {
    if (!existsSync(this.#path)) return new Map()
    const plain = openWith(this.#key, readPrivate(this.#path), bound)
    return new Map(Object.entries(checked(JSON.parse(new TextDecoder().decode(plain)))))
  }

  /** @throws ClawmeshError USAGE for a name that is taken or a provider that cannot be used, and as `read` does */
  add(name: string, provider: Provider): void {
    const known = this.read()
    if (known.has(name)) {
      throw new ClawmeshError('USAGE', `There is a provider ${name} already.`, {
        hint: 'Remove it first, or choose another name.',
      })
    }
    this.#write(checked({ ...Object.fromEntries(known), [name]: provider }))
  }

  /** @throws ClawmeshError USAGE if there is none of this name, and as `read` does */
  remove(name: string): void {
    const { [name]: removed, ...rest } = Object.fromEntries(this.read())
    if (!removed) {
      throw new ClawmeshError('USAGE', `There is no provider ${name}.`, {
        hint: `There are: ${Object.keys(rest).join(', ') || 'none'}.`,
      })
    }
    this.#write(rest)
  }

  #write(providers: Record<string, Provider>): void {
    writeWhole(this.#path, sealWith(this.#key, new TextEncoder().encode(JSON.stringify(providers)), bound))
  }
}

function checked(providers: unknown): Record<string, Provider> {
  const parsed = storeSchema.safeParse(providers)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  // The message must not repeat what stands there: a key may be among it.
  throw new ClawmeshError('USAGE', `A provider cannot be used: its ${issue?.path.slice(1).join('.') || 'name'}.`, {
    hint: `A name has small letters, digits and dashes; a provider has form (${formNames.join(' or ')}), url (https; http for this machine), key and models.`,
  })
}

/** Of a file that its owner alone can read. Throws USAGE and DENIED. */
export function readPrivate(path: string): Uint8Array {
  let file: number
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (cause) {
    throw new ClawmeshError('USAGE', `The key store ${path} cannot be read: ${(cause as Error).message}.`, {
      hint: 'It must be a file of your own, not a link.',
      cause,
    })
  }
  try {
    const { mode, uid } = fstatSync(file)
    if ((mode & 0o077) !== 0 || (process.getuid !== undefined && uid !== process.getuid())) {
      throw new ClawmeshError(
        'DENIED',
        `The key store ${path} can be read by others than its owner, so it is not used.`,
        { hint: `Give it to yourself alone: chmod 600 ${path}. Then change the keys in it.` },
      )
    }
    return readFileSync(file)
  } finally {
    closeSync(file)
  }
}

function isProtected(url: string): boolean {
  const { protocol, hostname, username, password } = new URL(url)
  if (username !== '' || password !== '') return false
  const isHere = hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'))
  return protocol === 'https:' || (protocol === 'http:' && isHere)
}
