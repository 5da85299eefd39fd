/**
 * X.509 certificates (RFC 5280), as few as TLS between our own broker, gateway and nodes needs: P-256, an authority and what it signs. Node can read and check
 * certificates and cannot make them.
 */

import { createHash, type KeyObject, sign, X509Certificate } from 'node:crypto'
import { isIP, isIPv4 } from 'node:net'

export interface CertificateWish {
  /** Common name. */
  subject: string
  publicKey: KeyObject
  /** Signs itself if left out: an authority. */
  issuer?: { name: string; key: KeyObject; publicKey: KeyObject }
  /** Of the subject itself, for one that signs itself. */
  key?: KeyObject
  /** Of a server that is looked up by name: its DNS names and addresses. */
  names?: readonly string[]
  serial: Uint8Array
  /** Milliseconds since 1970. */
  notBefore: number
  notAfter: number
}

const tag = {
  boolean: 1,
  integer: 2,
  bits: 3,
  octets: 4,
  oid: 6,
  utf8: 12,
  shortTime: 23,
  time: 24,
  sequence: 48,
  set: 49,
}

/** Object identifiers, in their DER contents. */
const oid = {
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
  commonName: [0x55, 4, 3],
  basicConstraints: [0x55, 0x1d, 19],
  keyUsage: [0x55, 0x1d, 15],
  subjectKeyId: [0x55, 0x1d, 14],
  authorityKeyId: [0x55, 0x1d, 35],
  subjectAltName: [0x55, 0x1d, 17],
  extendedKeyUsage: [0x55, 0x1d, 37],
  serverAuth: [0x2b, 6, 1, 5, 5, 7, 3, 1],
}

/** In PEM. */
export function makeCertificate(wish: CertificateWish): string {
  const { subject, publicKey, serial, notBefore, notAfter, names = [] } = wish
  const isAuthority = wish.issuer === undefined
  const issuer = wish.issuer ?? { name: subject, key: wish.key, publicKey }
  if (!issuer.key) throw new Error('a certificate that signs itself needs its own key')
  const algorithm = sequence(der(tag.oid, oid.ecdsaWithSha256))
  const body = sequence(
    // Version 3, counted from 0.
    der(0xa0, der(tag.integer, [2])),
    // A leading 1 keeps the number positive.
    der(tag.integer, [1, ...serial]),
    algorithm,
    commonName(issuer.name),
    sequence(time(notBefore), time(notAfter)),
    commonName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions(isAuthority, publicKey, issuer.publicKey, names))),
  )
  const signature = sign('sha256', body, issuer.key)
  return pem(sequence(body, algorithm, der(tag.bits, [0, ...signature])))
}

/** SHA-256 of a certificate. */
export const certificateFingerprint = (pemText: string): Uint8Array =>
  new Uint8Array(createHash('sha256').update(new X509Certificate(pemText).raw).digest())

export function pem(bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

function extensions(
  isAuthority: boolean,
  subject: KeyObject,
  issuer: KeyObject,
  names: readonly string[],
): Uint8Array[] {
  const extension = (name: number[], critical: boolean, value: Uint8Array) =>
    sequence(der(tag.oid, name), ...(critical ? [der(tag.boolean, [0xff])] : []), der(tag.octets, value))
  // keyCertSign, or digitalSignature: the number of unused bits, then the bits.
  const usage = isAuthority ? [2, 0x04] : [7, 0x80]
  return [
    extension(oid.basicConstraints, true, sequence(...(isAuthority ? [der(tag.boolean, [0xff])] : []))),
    extension(oid.keyUsage, true, der(tag.bits, usage)),
    extension(oid.subjectKeyId, false, der(tag.octets, keyId(subject))),
    extension(oid.authorityKeyId, false, sequence(der(0x80, keyId(issuer)))),
    ...(names.length > 0
      ? [
          extension(oid.subjectAltName, false, sequence(...names.map(generalName))),
          extension(oid.extendedKeyUsage, false, sequence(der(tag.oid, oid.serverAuth))),
        ]
      : []),
  ]
}

const generalName = (name: string) =>
  isIP(name) === 0 ? der(0x82, Buffer.from(name, 'latin1')) : der(0x87, addressBytes(name))

function addressBytes(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.from(address.split('.'), Number)
  // The URL parser writes an address of version 6 in one way; only "::" is left to be filled in.
  const [before = '', after] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const words = (part: string | undefined) => (part ? part.split(':').map((word) => Number.parseInt(word, 16)) : [])
  const [head, tail] = [words(before), words(after)]
  const all = [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail]
  return Uint8Array.from(all.flatMap((word) => [word >> 8, word & 255]))
}

/** Any digest of the key will do. */
const keyId = (key: KeyObject) =>
  createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 20)

const commonName = (name: string) =>
  sequence(der(tag.set, sequence(der(tag.oid, oid.commonName), der(tag.utf8, Buffer.from(name)))))

/** Two digits of the year until 2049, four from then on. */
function time(at: number): Uint8Array {
  const digits = `${new Date(at).toISOString().replace(/[-:T]|\..*$/g, '')}Z`
  return digits < '2050' ? der(tag.shortTime, Buffer.from(digits.slice(2))) : der(tag.time, Buffer.from(digits))
}

const sequence = (...parts: Uint8Array[]) => der(tag.sequence, Buffer.concat(parts))

/** Tag, length, contents. */
function der(type: number, contents: ArrayLike<number>): Uint8Array {
  const { length } = contents
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.from([type, ...size, ...Array.from(contents)])
}
