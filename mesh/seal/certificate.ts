/**
 * A node certificate: the authority's word that a signing key belongs to a named node with these roles and labels, for a time.
 * On the wire it is `[body, signature]`, the body a positional msgpack array, so that there is one way to write it: without labels they are left out.
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { type Role, roles } from '../../policies/roles.js'
import { binary, decode, encode } from '../codec.js'
import { fingerprint, type SigningKey, sign, verifies } from './keys.js'

/** What the authority says of a machine, beside its roles: `site=berlin`, `gpu`. */
export const labelsSchema = z.array(z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}(=[a-z0-9._-]{1,62})?$/)).max(16)

const bodySchema = z
  .tuple([
    z.literal(1),
    z.string(),
    z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
    binary.refine((key) => key.length === 32),
    z.array(z.enum(roles)),
    z.number().int(),
    z.number().int(),
    labelsSchema.min(1).optional(),
  ])
  .transform(([, mesh, name, publicKey, held, notBefore, notAfter, labels = []]) => ({
    mesh,
    name,
    publicKey,
    roles: held,
    labels,
    notBefore,
    notAfter,
  }))

const wireSchema = z.tuple([binary, binary])

/** What a certificate says. Times are milliseconds since 1970. */
export type CertificateBody = Omit<z.output<typeof bodySchema>, 'roles' | 'labels'> & {
  roles: readonly Role[]
  labels?: readonly string[]
}

export interface Certificate extends CertificateBody {
  readonly labels: readonly string[]
  /** Names the key, not the paper: a renewed certificate keeps its holder's id. */
  readonly holder: string
  readonly wire: Uint8Array
}

/** Who holds a signing key, wherever it is named: in audit chains, envelopes and the directory. */
export const holderOf = (publicKey: Uint8Array): string => fingerprint(publicKey)

/** How far two clocks of one mesh may stand apart. */
export const clockToleranceMs = 30_000

export function issueCertificate(body: CertificateBody, root: SigningKey): Certificate {
  const { labels = [] } = body
  const said = [1, body.mesh, body.name, body.publicKey, body.roles, body.notBefore, body.notAfter]
  const inner = encode(labels.length > 0 ? [...said, labels] : said)
  const wire = encode([inner, sign('certificate', inner, root)])
  return { ...body, labels, holder: holderOf(body.publicKey), wire }
}

/**
 * Reads a certificate and checks that the mesh's root signed it. With `now` it must be valid at that time too; an
 * auditor leaves `now` out, since what was signed last year was signed under last year's certificate.
 */
export function readCertificate(wire: Uint8Array, rootKey: Uint8Array, now?: number): Certificate {
  const outer = wireSchema.safeParse(decode(wire))
  if (!outer.success) throw unauthentic('A certificate arrived that cannot be read.')
  const [inner, signature] = outer.data
  if (!verifies('certificate', inner, signature, rootKey)) {
    throw unauthentic("A certificate arrived that this mesh's authority did not sign.")
  }
  const body = bodySchema.safeParse(decode(inner))
  if (!body.success) throw unauthentic('A certificate arrived whose contents are not understood.')
  const certificate = { ...body.data, holder: holderOf(body.data.publicKey), wire: new Uint8Array(wire) }
  if (now !== undefined) checkDates(certificate, now)
  return certificate
}

export function checkDates({ name, notBefore, notAfter }: CertificateBody, now: number): void {
  if (now + clockToleranceMs < notBefore) {
    throw new ClawmeshError(
      'CLOCK_SKEW',
      `This machine's clock says ${iso(now)}, but the certificate of node "${name}" was issued at ${iso(notBefore)}.`,
      { hint: "Set this machine's clock (for example with an NTP service) and start again." },
    )
  }
  if (now - clockToleranceMs > notAfter) {
    throw new ClawmeshError('UNAUTHENTIC', `The certificate of node "${name}" ended at ${iso(notAfter)}.`, {
      hint: `If this machine's clock (${iso(now)}) is right, start the node again while the authority is up: it renews the certificate.`,
      data: { expired: true },
    })
  }
}

const iso = (time: number) => new Date(time).toISOString()
const unauthentic = (message: string) =>
  new ClawmeshError('UNAUTHENTIC', message, { hint: 'If it should belong to this mesh, let it join again.' })
