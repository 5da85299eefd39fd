/**
 * Who may be asked elsewhere, with which key: a JSON file that only its owner can read.
 *
 *     { "frontier": { "form": "openai", "url": "https://api.example.com/v1", "key": "…", "models": ["large"] } }
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { isIPv4 } from 'node:net'
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { formNames } from './form.js'

const providerSchema = z.strictObject({
  form: z.enum(formNames),
  /** Up to and with the version: `https://api.example.com/v1`. */
  url: z.url().refine(isProtected, 'must begin with https://; plain http is for this machine alone'),
  key: z.string().min(1),
  models: z.array(z.string().min(1)).min(1),
})
const storeSchema = z.record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/), providerSchema)

export type Provider = z.output<typeof providerSchema>

/** @throws ClawmeshError DENIED for a file that others can read, USAGE for one that cannot be read or does not hold */
export function readProviders(path: string): ReadonlyMap<string, Provider> {
  const parsed = storeSchema.safeParse(toJson(readPrivate(path), path))
  if (parsed.success) return new Map(Object.entries(parsed.data))
  const [issue] = parsed.error.issues
  // The message must not repeat what stands in the file.
  throw new ClawmeshError('USAGE', `The key store ${path} does not hold at ${issue?.path.join('.') || 'its root'}.`, {
    hint: `Each provider has form (${formNames.join(' or ')}), url (https), key and models.`,
  })
}

function readPrivate(path: string): string {
  let file: number
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (cause) {
    throw new ClawmeshError('USAGE', `The key store ${path} cannot be read: ${(cause as Error).message}.`, {
      hint: 'Give the path of a file of your own, not of a link.',
      cause,
    })
  }
  try {
    const { mode, uid } = fstatSync(file)
    if ((mode & 0o077) !== 0 || (process.getuid !== undefined && uid !== process.getuid())) {
      throw new ClawmeshError(
        'DENIED',
        `The key store ${path} can be read by others than its owner, so it is not used.`,
        {
          hint: `Give it to yourself alone: chmod 600 ${path}. Then change the keys in it.`,
        },
      )
    }
    return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
}

function toJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new ClawmeshError('USAGE', `The key store ${path} is not JSON.`, { hint: 'See docs/router.md for its form.' })
  }
}

function isProtected(url: string): boolean {
  const { protocol, hostname, username, password } = new URL(url)
  if (username !== '' || password !== '') return false
  const isHere = hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'))
  return protocol === 'https:' || (protocol === 'http:' && isHere)
}
