/**
 * Who may be asked elsewhere, with which key: one file that only its owner can read, sealed by a key of the mesh. Each key in it is sealed once more, and to read
 * the store opens none: that is for the process that sends (`router/egress/child.ts`), which is handed them sealed, with what opens them.
 *
 *     const store = new ProviderStore(path, key)
 *     store.add('frontier', { form: 'openai', url: 'https://api.example.com/v1', key: '…', models: ['large'] })
 */
import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { isIPv4 } from 'node:net'
import { z } from 'zod'
import { writeWhole } from '../../mesh/disk.js'
import { openWith, sealWith } from '../../mesh/seal/box.js'
import { digest, utf8 } from '../../mesh/seal/keys.js'
import { ClawmeshError } from '../../policies/errors.js'
import { formNames } from './form.js'
import { sealKey } from './sealed-key.js'

const providerSchema = z.strictObject({
  form: z.enum(formNames),
  /** Up to and with the version: `https://api.example.com/v1`. */
  url: z.url().refine(isProtected, 'must begin with https://; plain http is for this machine alone'),
  key: z.string().min(1),
  models: z.array(z.string().min(1)).min(1),
})
const nameSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be small letters, digits and dashes')
const providersSchema = z.record(nameSchema, providerSchema)
const keptSchema = providerSchema.omit({ key: true }).extend({ sealed: z.base64() })
const storeSchema = z.record(nameSchema, keptSchema)

export type Provider = z.output<typeof providerSchema>
/** As it is kept: the key is sealed. */
export type KeptProvider = z.output<typeof keptSchema>
export type Providers = ReadonlyMap<string, KeptProvider>

/** What it is sealed for: nothing else that the mesh seals opens as a key store. */
const bound = utf8('clawmesh providers 2')
/** Of stores in which the keys were not sealed by themselves. */
const boundBefore = utf8('clawmesh providers 1')

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
    return new Map(Object.entries(this.#opened(readPrivate(this.#path))))
  }

  /** What opens the keys: for the process that sends, and nobody else. 32 bytes. */
  get unsealing(): Uint8Array {
    return digest(utf8('clawmesh provider keys 1\0'), this.#key)
  }

  /** @throws ClawmeshError USAGE for a name that is taken or a provider that cannot be used, and as `read` does */
  add(name: string, provider: Provider): void {
    const known = this.read()
    if (known.has(name)) {
      throw new ClawmeshError('USAGE', `There is a provider ${name} already.`, {
        hint: 'Remove it first, or choose another name.',
      })
    }
    this.#write({ ...Object.fromEntries(known), ...this.#sealed(checked(providersSchema, { [name]: provider })) })
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

  #opened(sealed: Uint8Array): Record<string, KeptProvider> {
    try {
      return checked(storeSchema, jsonOf(openWith(this.#key, sealed, bound)))
    } catch (error) {
      if (ClawmeshError.from(error).code !== 'UNAUTHENTIC') throw error
      // One from before is written anew at once, so that its keys are in the memory of this process once and never again.
      const providers = this.#sealed(checked(providersSchema, jsonOf(openWith(this.#key, sealed, boundBefore))))
      this.#write(providers)
      return providers
    }
  }

  #sealed(providers: Record<string, Provider>): Record<string, KeptProvider> {
    const { unsealing } = this
    return Object.fromEntries(
      Object.entries(providers).map(([name, { key, ...provider }]) => [
        name,
        { ...provider, sealed: sealKey(unsealing, name, provider, key) },
      ]),
    )
  }

  #write(providers: Record<string, KeptProvider>): void {
    writeWhole(this.#path, sealWith(this.#key, utf8(JSON.stringify(providers)), bound))
  }
}

const jsonOf = (plain: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(plain))

function checked<T>(schema: z.ZodType<Record<string, T>>, providers: unknown): Record<string, T> {
  const parsed = schema.safeParse(providers)
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
