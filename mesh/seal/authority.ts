/** The mesh's root of trust: one Ed25519 key that certifies nodes, and the auditors' key that audit bodies are sealed to. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import type { Role } from '../../policies/roles.js'
import { writeWhole } from '../disk.js'
import { type Certificate, issueCertificate } from './certificate.js'
import {
  type AgreementKey,
  agreementKey,
  digest,
  fingerprint,
  fromHex,
  hex,
  randomBytes,
  type SigningKey,
  signingKey,
  utf8,
} from './keys.js'
import { folderShelf, memoryShelf, type Shelf } from './shelf.js'
import { SubjectStore } from './subject-store.js'

/** Long enough for a night without the authority, short enough that a stolen key whose revocation is kept from a node does not serve for long. */
export const certificateLifeMs = 24 * 60 * 60 * 1000

const key = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))

const storedSchema = z.object({
  created: z.number().int(),
  rootPublic: key(32),
  rootSecret: key(64),
  auditorPublic: key(32),
  auditorSecret: key(32),
  meshKey: key(32),
})

export interface Authority {
  /** The mesh's name on the broker: a fingerprint of the root key. */
  readonly mesh: string
  readonly root: SigningKey
  readonly auditor: AgreementKey
  /** Known to every member and to nobody else: seals what is meant for all, such as the directory. */
  readonly meshKey: Uint8Array
  /** Seals the journals of tasks; for supervisors. */
  readonly tasksKey: Uint8Array
  /** The keys of those whom recorded content is about. */
  readonly subjects: SubjectStore
  certify(
    name: string,
    roles: readonly Role[],
    publicKey: Uint8Array,
    now: number,
    labels?: readonly string[],
  ): Certificate
}

/** A new authority that lives in memory only. */
export function createAuthority(lifeMs = certificateLifeMs): Authority {
  return authorityOf(lifeMs, { root: signingKey(), auditor: agreementKey(), meshKey: randomBytes(32) }, memoryShelf())
}

/** Opens the authority kept in `folder`, or makes one there; its file can be read by its owner alone. */
export function openAuthority(folder: string, now: number, lifeMs = certificateLifeMs): Authority {
  const file = join(folder, 'authority.json')
  const shelf = folderShelf(join(folder, 'subjects'))
  if (existsSync(file)) return load(file, now, lifeMs, shelf)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const keys = { root: signingKey(), auditor: agreementKey(), meshKey: randomBytes(32) }
  const stored: z.infer<typeof storedSchema> = {
    created: now,
    rootPublic: hex(keys.root.publicKey),
    rootSecret: hex(keys.root.secretKey),
    auditorPublic: hex(keys.auditor.publicKey),
    auditorSecret: hex(keys.auditor.secretKey),
    meshKey: hex(keys.meshKey),
  }
  writeWhole(file, JSON.stringify(stored, null, 2))
  return authorityOf(lifeMs, keys, shelf)
}

function load(file: string, now: number, lifeMs: number, shelf: Shelf): Authority {
  const stored = storedSchema.safeParse(parseJson(readFileSync(file, 'utf8')))
  if (!stored.success) {
    throw new ClawmeshError('UNAUTHENTIC', `The authority's key file ${file} is damaged.`, {
      hint: 'Restore it from a backup. Without it the mesh cannot certify nodes; a new mesh needs a new data folder.',
    })
  }
  const { created, ...keys } = stored.data
  if (now + 5 * 60_000 < created) {
    throw new ClawmeshError(
      'CLOCK_SKEW',
      `This machine's clock says ${new Date(now).toISOString()}, but this mesh was made at ${new Date(created).toISOString()}.`,
      { hint: "Set this machine's clock (for example with an NTP service) and start again." },
    )
  }
  const opened = {
    root: { publicKey: fromHex(keys.rootPublic), secretKey: fromHex(keys.rootSecret) },
    auditor: { publicKey: fromHex(keys.auditorPublic), secretKey: fromHex(keys.auditorSecret) },
    meshKey: fromHex(keys.meshKey),
  }
  return authorityOf(lifeMs, opened, shelf)
}

function authorityOf(
  lifeMs: number,
  keys: { root: SigningKey; auditor: AgreementKey; meshKey: Uint8Array },
  shelf: Shelf,
): Authority {
  const mesh = fingerprint(keys.root.publicKey).slice(0, 16)
  return {
    mesh,
    ...keys,
    tasksKey: digest(utf8('clawmesh tasks 1\0'), keys.root.secretKey),
    subjects: new SubjectStore(shelf, keys),
    certify: (name, roles, publicKey, now, labels = []) =>
      issueCertificate({ mesh, name, publicKey, roles, labels, notBefore: now, notAfter: now + lifeMs }, keys.root),
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
