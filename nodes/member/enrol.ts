/** How a machine becomes a member by an invitation. What it needs to ask again is on its disk before it asks: an answer that is lost costs nothing. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { createUser } from '@nats-io/nkeys'
import { z } from 'zod'
import { addressesOf } from '../../mesh/address.js'
import { seedOf } from '../../mesh/broker/keys.js'
import { writeWhole } from '../../mesh/disk.js'
import { readCertificate } from '../../mesh/seal/certificate.js'
import { type Credentials, writeCredentials } from '../../mesh/seal/credentials.js'
import { askAuthority, type Grant, type Question } from '../../mesh/seal/enrolment.js'
import { fromHex, hex, type SigningKey, sameBytes, signingKey } from '../../mesh/seal/keys.js'
import { connectNats } from '../../mesh/transport/nats.js'
import { fetchTlsAuthority } from '../../mesh/transport/pinned.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { Role } from '../../policies/roles.js'
import type { Invitation } from '../authority/invitation.js'
import type { DataFolder } from '../data-folder.js'
import { publicKeyOf, writeAccess } from './access.js'
import { nodeFiles } from './member.js'

const askAgainForMs = 20_000
const answerWithinMs = 5000
const askAgainMs = 500

const pendingSchema = z.object({
  invitation: z.string(),
  signingPublic: z.string(),
  signingSecret: z.string(),
  seed: z.string(),
})

/** The name that the node has from now on. `by` are the servers by which it reaches the mesh, if not those that the mesh names. */
export async function enrolBy(
  invitation: Invitation,
  folder: DataFolder,
  wish: { name: string; roles: Role[] },
  by?: string[],
): Promise<string> {
  const pending = join(folder.path, 'joining.json')
  const { signing, seed } = keysFor(invitation, pending)
  const { id, secret, rootKey, servers, tlsFingerprint } = invitation
  const tlsAuthority = tlsFingerprint && (await fetchTlsAuthority(servers, tlsFingerprint))
  const question = askAuthority(
    { kind: 'enrol', id, secret, signing, rootKey },
    { ...wish, brokerKey: publicKeyOf(seed), askedAt: Date.now() },
  )
  const grant = await ask(invitation, tlsAuthority, question)
  const certificate = readCertificate(grant.certificate, rootKey, Date.now())
  if (!sameBytes(certificate.publicKey, signing.publicKey))
    throw new ClawmeshError('UNAUTHENTIC', 'The authority certified another key than the one that asked.')
  const { mesh, name, holder } = certificate
  const { meshKey, auditorKey } = grant
  const credentials: Credentials = { mesh, rootKey, certificate, signing, meshKey, auditorKey }
  const inbox = addressesOf(mesh, meshKey).repliesTo(holder)
  const files = nodeFiles(folder, name)
  writeAccess(files.access, {
    servers: by ?? grant.servers,
    user: { token: grant.brokerToken, seed, inbox },
    tlsAuthority,
  })
  writeCredentials(files.credentials, credentials)
  rmSync(pending, { force: true })
  return name
}

/** One key asks by one invitation, however often it has to. */
function keysFor({ id }: Invitation, file: string): { signing: SigningKey; seed: string } {
  const known = existsSync(file) ? pendingSchema.safeParse(JSON.parse(readFileSync(file, 'utf8'))) : undefined
  if (known?.success && known.data.invitation === id) {
    const { signingPublic, signingSecret, seed } = known.data
    return { signing: { publicKey: fromHex(signingPublic), secretKey: fromHex(signingSecret) }, seed }
  }
  const signing = signingKey()
  const seed = seedOf(createUser())
  const [signingPublic, signingSecret] = [hex(signing.publicKey), hex(signing.secretKey)]
  writeWhole(file, JSON.stringify({ invitation: id, signingPublic, signingSecret, seed }))
  return { signing, seed }
}

/** The same question until it is answered: the mesh, or its authority alone, may be away for a moment. */
async function ask(
  { servers, user, subject, id }: Invitation,
  tlsAuthority: string | undefined,
  question: Question,
): Promise<Grant> {
  const transport = await connectNats({ servers, user, tlsAuthority, name: id }, askAgainForMs)
  try {
    for (const until = performance.now() + askAgainForMs; ; ) {
      try {
        return question.open(await transport.ask(subject, question.wire, answerWithinMs))
      } catch (error) {
        const { code } = ClawmeshError.from(error)
        if (code !== 'BROKER_UNAVAILABLE') throw error
        if (performance.now() > until)
          throw new ClawmeshError('UNREACHABLE', "The broker is there, but the mesh's authority does not answer.", {
            hint: 'See that `clawmesh up` runs on the machine that made the invitation, and join again with the same string.',
            cause: error,
          })
      }
      await setTimeout(askAgainMs)
    }
  } finally {
    await transport.close()
  }
}
