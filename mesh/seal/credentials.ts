/** All that a node needs to be a member: written by the authority, read by the node, kept in one file of mode 0600. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import type { Role } from '../../policies/roles.js'
import { writeWhole } from '../disk.js'
import type { Authority } from './authority.js'
import { type Certificate, readCertificate } from './certificate.js'
import { fromHex, hex, type SigningKey, signingKey } from './keys.js'

export interface Credentials {
  readonly mesh: string
  readonly rootKey: Uint8Array
  readonly certificate: Certificate
  readonly signing: SigningKey
  readonly meshKey: Uint8Array
  /** X25519 public key that audit bodies are sealed to: a node can write them and not read them back. */
  readonly auditorKey: Uint8Array
}

const fileSchema = z.object({
  rootKey: z.string(),
  certificate: z.string(),
  signingPublic: z.string(),
  signingSecret: z.string(),
  meshKey: z.string(),
  auditorKey: z.string(),
})

/** Makes a node a member. With `signing` it keeps the key that it had, so its audit chain goes on. */
export function enrol(
  authority: Authority,
  node: { name: string; roles: readonly Role[]; labels?: readonly string[] | undefined; signing?: SigningKey },
  now: number,
): Credentials {
  const signing = node.signing ?? signingKey()
  return {
    mesh: authority.mesh,
    rootKey: authority.root.publicKey,
    certificate: authority.certify(node.name, node.roles, signing.publicKey, now, node.labels),
    signing,
    meshKey: authority.meshKey,
    auditorKey: authority.auditor.publicKey,
  }
}

export function writeCredentials(file: string, credentials: Credentials): void {
  const stored: z.infer<typeof fileSchema> = {
    rootKey: hex(credentials.rootKey),
    certificate: hex(credentials.certificate.wire),
    signingPublic: hex(credentials.signing.publicKey),
    signingSecret: hex(credentials.signing.secretKey),
    meshKey: hex(credentials.meshKey),
    auditorKey: hex(credentials.auditorKey),
  }
  writeWhole(file, JSON.stringify(stored, null, 2))
}

/** With `now` the certificate must be valid at that time. */
export function readCredentials(file: string, now: number | undefined): Credentials {
  const stored = parse(file)
  const rootKey = fromHex(stored.rootKey)
  const certificate = readCertificate(fromHex(stored.certificate), rootKey, now)
  return {
    mesh: certificate.mesh,
    rootKey,
    certificate,
    signing: { publicKey: fromHex(stored.signingPublic), secretKey: fromHex(stored.signingSecret) },
    meshKey: fromHex(stored.meshKey),
    auditorKey: fromHex(stored.auditorKey),
  }
}

function parse(file: string): z.infer<typeof fileSchema> {
  try {
    return fileSchema.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (cause) {
    throw new ClawmeshError('UNAUTHENTIC', `The credentials in ${file} cannot be read.`, {
      hint: 'Let this node join the mesh again.',
      cause,
    })
  }
}
