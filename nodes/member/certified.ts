/**
 * Keeps a node certified: asks the authority for a new certificate when half of the old one's time is over, as long as the node runs, and before it begins if
 * the old one has ended meanwhile.
 */
import { enrolmentSubject } from '../../mesh/address.js'
import type { MeshNode } from '../../mesh/index.js'
import { readCertificate } from '../../mesh/seal/certificate.js'
import { type Credentials, writeCredentials } from '../../mesh/seal/credentials.js'
import { askAuthority } from '../../mesh/seal/enrolment.js'
import type { NatsTransport } from '../../mesh/transport/nats.js'
import { ClawmeshError } from '../../policies/errors.js'
import { publicKeyOf, readAccess } from './access.js'
import type { NodeFiles } from './member.js'

const answerWithinMs = 5000
/** A timer cannot wait longer. */
const longestWaitMs = 24 * 60 * 60 * 1000
const soonestMs = 500

/** The credentials under a new certificate, on disk already. */
export async function renewed(
  credentials: Credentials,
  files: NodeFiles,
  transport: NatsTransport,
): Promise<Credentials> {
  const { certificate, signing, meshKey, rootKey, mesh } = credentials
  const access = readAccess(files.access)
  const asker = { kind: 'renew' as const, id: certificate.holder, secret: meshKey, signing, rootKey }
  const { name, roles } = certificate
  const wish = { name, roles: [...roles], brokerKey: publicKeyOf(access.user.seed), askedAt: Date.now() }
  const question = askAuthority(asker, wish)
  const grant = question.open(await transport.ask(enrolmentSubject(mesh), question.wire, answerWithinMs))
  const next = readCertificate(grant.certificate, rootKey, Date.now())
  if (next.holder !== certificate.holder)
    throw new ClawmeshError('UNAUTHENTIC', 'The authority certified another key than the one that asked.')
  const changed = { ...credentials, certificate: next, meshKey: grant.meshKey, auditorKey: grant.auditorKey }
  writeCredentials(files.credentials, changed)
  return changed
}

/** Whether so much of a certificate's time is over that it should be renewed. */
export const isDue = ({ certificate }: Credentials, now: number): boolean =>
  now >= (certificate.notBefore + certificate.notAfter) / 2

/** With which a node begins: renewed where that is due; a certificate that is still good will do if the authority is away. */
export async function freshened(
  credentials: Credentials,
  files: NodeFiles,
  transport: NatsTransport,
): Promise<Credentials> {
  if (!isDue(credentials, Date.now())) return credentials
  try {
    return await renewed(credentials, files, transport)
  } catch (error) {
    if (!ClawmeshError.from(error).retry) throw error
    readCertificate(credentials.certificate.wire, credentials.rootKey, Date.now())
    return credentials
  }
}

/** Renews for as long as the node runs; returns what ends it. `failed` hears of each time that it did not work. */
export function keepCertified(
  node: MeshNode,
  credentials: Credentials,
  files: NodeFiles,
  transport: NatsTransport,
  failed: (error: ClawmeshError) => void,
): () => void {
  let current = credentials
  let timer: NodeJS.Timeout | undefined
  let ended = false
  const plan = () => {
    const { notBefore, notAfter } = current.certificate
    const life = notAfter - notBefore
    // Before half-time: then. After it, a renewal has failed: tried ten times in what is left, and on after that.
    const wait = isDue(current, Date.now()) ? life / 20 : (notBefore + notAfter) / 2 - Date.now()
    timer = setTimeout(() => void renew(), Math.min(longestWaitMs, Math.max(soonestMs, wait)))
    timer.unref()
  }
  const renew = async () => {
    try {
      if (isDue(current, Date.now())) {
        current = await renewed(current, files, transport)
        await node.renew(current.certificate)
      }
    } catch (error) {
      failed(ClawmeshError.from(error))
    }
    if (!ended) plan()
  }
  plan()
  return () => {
    ended = true
    clearTimeout(timer)
  }
}
