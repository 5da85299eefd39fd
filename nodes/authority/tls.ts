/**
 * The mesh's own TLS authority, for brokers that listen beyond loopback. It certifies brokers of this mesh and nothing else, so who shows its signature is the
 * broker, at whatever address; the nodes know it from their invitation.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { certificateFingerprint, makeCertificate } from '../../mesh/broker/x509.js'
import { writeWhole } from '../../mesh/disk.js'
import { randomBytes } from '../../mesh/seal/keys.js'
import { ClawmeshError } from '../../policies/errors.js'

export interface BrokerTls {
  /** PEM, and its SHA-256. */
  readonly authority: string
  readonly fingerprint: Uint8Array
  /** What the broker shows, followed by the authority, and the key to it. */
  readonly files: { certificate: string; key: string }
}

const year = 365 * 24 * 60 * 60 * 1000
const storedSchema = z.object({ key: z.string(), certificate: z.string() })

/**
 * The broker's own certificate is new at each start; its authority lasts as long as the mesh. Our nodes ask for no address in it; servers of other sites do.
 */
export async function openBrokerTls(
  folder: string,
  mesh: string,
  now: number,
  addresses: readonly string[] = [],
): Promise<BrokerTls> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, 'tls.json')
  const authority = openTlsAuthority(file, `clawmesh ${mesh}`, now)
  const shown = authority.issue(`clawmesh broker ${mesh}`, addresses, now)
  const files = { certificate: join(folder, 'broker.crt'), key: join(folder, 'broker.key') }
  writeWhole(files.certificate, shown.certificate)
  writeWhole(files.key, shown.key)
  return { authority: authority.certificate, fingerprint: certificateFingerprint(authority.certificate), files }
}

export interface TlsAuthority {
  /** PEM. */
  readonly certificate: string
  /** A certificate for a new key, good for a year, followed by the authority's; all in PEM. */
  issue(subject: string, names: readonly string[], now: number): { certificate: string; key: string }
}

/** One that is kept in a file, made if there is none. */
export function openTlsAuthority(file: string, name: string, now: number): TlsAuthority {
  const { key, certificate } = existsSync(file) ? load(file) : make(file, name, now)
  const issuer = { name, key, publicKey: createPublicKey(key) }
  return {
    certificate,
    issue: (subject, names, now) => {
      const own = newKey()
      const publicKey = createPublicKey(own)
      const shown = makeCertificate({ subject, publicKey, issuer, names, ...validity(now, year) })
      return { certificate: `${shown}${certificate}`, key: own.export({ type: 'pkcs8', format: 'pem' }) as string }
    },
  }
}

function make(file: string, subject: string, now: number): { key: KeyObject; certificate: string } {
  const key = newKey()
  const certificate = makeCertificate({ subject, publicKey: createPublicKey(key), key, ...validity(now, 25 * year) })
  writeWhole(file, JSON.stringify({ key: key.export({ type: 'pkcs8', format: 'pem' }), certificate }, null, 2))
  return { key, certificate }
}

function load(file: string): { key: KeyObject; certificate: string } {
  try {
    const { key, certificate } = storedSchema.parse(JSON.parse(readFileSync(file, 'utf8')))
    return { key: createPrivateKey(key), certificate }
  } catch (cause) {
    throw new ClawmeshError('UNAUTHENTIC', `The TLS authority in ${file} is damaged.`, {
      hint: 'Restore it from a backup; nodes on other machines know the broker by it.',
      cause,
    })
  }
}

/** Clocks of machines may stand apart. */
const validity = (now: number, length: number) => ({
  serial: randomBytes(12),
  notBefore: now - 24 * 60 * 60 * 1000,
  notAfter: now + length,
})
const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
