/**
 * A grant: a chain of signed links. The first is signed by a node under its certificate; each that follows by the one to whom the last was given, and allows
 * no more than that one. So authority can be passed on, narrower, without asking anybody; and whoever is shown a grant can tell all of that by himself.
 *
 *     link    [body, signature]
 *     body    [1, mesh, parent, issuer, holder, actor, terms, nonce]
 *
 * `parent` is the hash of the last link's body (empty in the first link), `issuer` the certificate of the giver (first link) or the public key of the last
 * link's holder, `holder` the fingerprint of the key to which it is given, `actor` for whom there, for the record.
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import { binary, decode, encode } from '../codec.js'
import { type Certificate, holderOf, readCertificate } from '../seal/certificate.js'
import { fingerprint, randomBytes, type SigningKey, sign, verifies } from '../seal/keys.js'
import { beyond, type Terms, termsSchema, termsWire } from './terms.js'

/** Supervisor, worker, and as deep as agents hand a task on. */
export const mostLinks = 12

const bodySchema = z.tuple([
  z.literal(1),
  z.string(),
  z.string(),
  binary,
  z.string(),
  z.string(),
  termsSchema,
  binary.refine((nonce) => nonce.length === 8),
])
const wireSchema = z
  .array(z.tuple([binary, binary]))
  .min(1)
  .max(mostLinks)

export type GrantWire = [body: Uint8Array, signature: Uint8Array][]

export interface Link {
  /** Names what was granted: what is used under it is counted by this. */
  readonly id: string
  /** Fingerprints of the keys of who gave it and to whom. */
  readonly issuer: string
  readonly holder: string
  /** For whom there. */
  readonly actor: string
  readonly terms: Terms
}

export interface Grant {
  /** Of the last link. */
  readonly id: string
  /** Who may use it and what for: the last link's. */
  readonly holder: string
  readonly terms: Terms
  /** The node with which it begins. */
  readonly root: Certificate
  /** The first one first. */
  readonly links: readonly Link[]
  readonly wire: GrantWire
}

/** Whose key signs. */
export interface Issuer {
  readonly certificate: Certificate
  readonly signing: SigningKey
}

export interface Given {
  /** The fingerprint of a node's key, and an actor there. */
  holder: string
  actor: string
  terms: Terms
}

/** A grant that begins with this node. */
export const mint = ({ certificate, signing }: Issuer, given: Given): GrantWire => [
  link(certificate.mesh, '', certificate.wire, given, signing),
]

/** A narrower one, by its holder, for somebody else. What goes beyond it nobody would accept: see `beyond`. */
export function attenuate({ wire, root, id }: Grant, signing: SigningKey, given: Given): GrantWire {
  return [...wire, link(root.mesh, id, signing.publicKey, given, signing)]
}

/**
 * Reads a chain and checks it from its beginning: certificate, signatures, each link the child of the one before and no wider. Not checked is who shows it,
 * when, and how often. Throws UNAUTHENTIC for what was forged, DENIED for what is wider than it may be.
 */
export function readGrant(wire: unknown, known: Known): Grant {
  try {
    return follow(wire, known)
  } catch (error) {
    // A body or a certificate that is no msgpack: whoever wrote it, it is no message of which the sender may have got the form wrong.
    throw error instanceof ClawmeshError && error.code === 'MESSAGE_INVALID' ? forged('cannot be read') : error
  }
}

interface Known {
  mesh: string
  rootKey: Uint8Array
  now: number
}

function follow(wire: unknown, { mesh, rootKey, now }: Known): Grant {
  const chain = wireSchema.safeParse(wire)
  if (!chain.success) throw forged('cannot be read')
  const links: Link[] = []
  let root: Certificate | undefined
  for (const [bytes, signature] of chain.data) {
    const body = bodySchema.safeParse(decode(bytes))
    if (!body.success) throw forged('has a link that is not understood')
    const [, ofMesh, parentId, issuer, holder, actor, terms] = body.data
    const parent = links.at(-1)
    root ??= readCertificate(issuer, rootKey, now)
    const key = parent ? issuer : root.publicKey
    if (ofMesh !== mesh || parentId !== (parent?.id ?? '')) throw forged('has a link that does not follow the last')
    if (parent && holderOf(key) !== parent.holder) throw forged('was passed on by somebody to whom it was not given')
    if (!verifies('capability', bytes, signature, key)) throw forged('has a link that its giver did not sign')
    const wider = parent && beyond(terms, parent.terms)
    if (wider !== undefined) throw new ClawmeshError('DENIED', `A grant is wider than the one it comes from: ${wider}.`)
    links.push({ id: fingerprint(bytes), issuer: holderOf(key), holder, actor, terms })
  }
  const last = links.at(-1)
  if (!root || !last) throw forged('is empty')
  return { id: last.id, holder: last.holder, terms: last.terms, root, links, wire: chain.data }
}

function link(
  mesh: string,
  parent: string,
  issuer: Uint8Array,
  { holder, actor, terms }: Given,
  signing: SigningKey,
): GrantWire[number] {
  const body = encode([1, mesh, parent, issuer, holder, actor, termsWire(terms), randomBytes(8)])
  return [body, sign('capability', body, signing)]
}

const forged = (how: string) => new ClawmeshError('UNAUTHENTIC', `A grant ${how}.`)
