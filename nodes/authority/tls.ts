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
  const { key, certificate } = existsSync(file) ? load(file) : make(file, mesh, now)
  const issuer = { name: authorityName(mesh), key, publicKey: createPublicKey(key) }
  const own = newKey()
  const shown = makeCertificate({
    subject: `clawmesh broker ${mesh}`,
    publicKey: createPublicKey(own),
    issuer,
    addresses,
    ...validity(now, year),
  })
  const files = { certificate: join(folder, 'broker.crt'), key: join(folder, 'broker.key') }
  writeWhole(files.certificate, `${shown}${certificate}`)
  writeWhole(files.key, own.export({ type: 'pkcs8', format: 'pem' }) as string)
  return { authority: certificate, fingerprint: certificateFingerprint(certificate), files }
}

function make(file: string, mesh: string, now: number): { key: KeyObject; certificate: string } {
  const key = newKey()
  const subject = authorityName(mesh)
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
const authorityName = (mesh: string) => `clawmesh ${mesh}`
const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
