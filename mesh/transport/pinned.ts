/**
 * How a newcomer that knows no more than a fingerprint comes by the TLS authority of a broker: it connects, looks at what it is shown, and believes the one
 * certificate that has the fingerprint. Nothing is sent.
 */
import { connect, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { ClawmeshError } from '../../policies/errors.js'
import { certificateFingerprint, pem } from '../broker/x509.js'
import { sameBytes } from '../seal/keys.js'

const withinMs = 5000

/** In PEM. Tries the servers in turn. */
export async function fetchTlsAuthority(servers: readonly string[], fingerprint: Uint8Array): Promise<string> {
  const failures: string[] = []
  for (const server of servers) {
    try {
      const shown = await authorityShownBy(new URL(server))
      if (sameBytes(certificateFingerprint(shown), fingerprint)) return shown
      failures.push(`${server} shows the certificate of another`)
    } catch (error) {
      failures.push(`${server}: ${(error as Error).message}`)
    }
  }
  throw new ClawmeshError('BROKER_UNAVAILABLE', `No broker of this mesh was found (${failures.join('; ')}).`, {
    hint: 'Check that the mesh runs and that this machine can reach it: its address, port and firewall.',
  })
}

async function authorityShownBy({ hostname, port }: URL): Promise<string> {
  const plain = connect({ host: hostname, port: Number(port) })
  plain.setTimeout(withinMs, () => plain.destroy(new Error('it does not answer')))
  try {
    // NATS greets in the clear, and changes to TLS after that.
    await greeting(plain)
    const secure = connectTls({ socket: plain, rejectUnauthorized: false })
    await new Promise((resolve, reject) => {
      secure.once('secureConnect', resolve)
      secure.once('error', reject)
      plain.once('error', reject)
      plain.once('close', () => reject(new Error('it closed the connection')))
    })
    return last(secure)
  } finally {
    plain.destroy()
  }
}

function greeting(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let seen = ''
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('it closed the connection')))
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1')
      if (!seen.includes('\r\n')) return
      socket.removeAllListeners('data')
      socket.pause()
      if (seen.startsWith('INFO ')) resolve()
      else reject(new Error('it is no NATS server'))
    })
  })
}

/** The end of the chain that was shown. */
function last(socket: TLSSocket): string {
  let certificate = socket.getPeerCertificate(true)
  for (
    let depth = 0;
    depth < 8 && certificate.issuerCertificate && certificate.issuerCertificate !== certificate;
    depth += 1
  )
    certificate = certificate.issuerCertificate
  return pem(certificate.raw)
}
