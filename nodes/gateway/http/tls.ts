/** The certificate that a gateway shows beyond loopback, as its operator gave it. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { ClawmeshError } from '../../../policies/errors.js'
import type { GatewayTls } from '../../authority/gateway-tls.js'
import { namesThisMachine } from './address.js'

/** Throws USAGE for files that cannot be read, a key of another certificate, and one that is not good now. */
export function readTls(certificateFile: string, keyFile: string, now: number): GatewayTls {
  const certificate = read(certificateFile)
  const key = read(keyFile)
  const leaf = attempt(certificateFile, () => new X509Certificate(certificate))
  if (!leaf.checkPrivateKey(attempt(keyFile, () => createPrivateKey(key))))
    throw unusable(keyFile, 'it is not the key of the certificate')
  if (now < Date.parse(leaf.validFrom) || now >= Date.parse(leaf.validTo))
    throw unusable(certificateFile, `it is good from ${leaf.validFrom} to ${leaf.validTo}`)
  return { certificate, key }
}

/** Whether a Host header is one that the gateway answers to: a name of this machine, or, over TLS, one of its certificate. */
export function hostsOf(tls: GatewayTls | undefined): (host: string) => boolean {
  if (!tls) return namesThisMachine
  const leaf = new X509Certificate(tls.certificate)
  return (header) => {
    const host = header.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
    if (host === '') return false
    return (isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host)) !== undefined
  }
}

const read = (file: string) => attempt(file, () => readFileSync(file, 'utf8'))

function attempt<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw unusable(file, cause instanceof Error ? cause.message : String(cause))
  }
}

const unusable = (file: string, why: string) =>
  new ClawmeshError('USAGE', `${file} cannot be used for TLS: ${why}.`, {
    hint: 'Give --gateway-certificate and --gateway-key files in PEM that belong together, or neither: the mesh then signs one itself.',
  })
