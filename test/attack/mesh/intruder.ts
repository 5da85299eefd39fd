/**
 * The two enemies of these tests. The tap has every right on the broker and no key of the mesh: it reads, stores, repeats, changes and makes up whatever it
 * likes. The traitor is a certified member that keeps to no rule of the post.
 */

import { z } from 'zod'
import { type Addresses, addressesOf } from '../../../mesh/address.js'
import { Directory } from '../../../mesh/directory.js'
import { introduction } from '../../../mesh/post/introduction.js'
import { encodeLetter, type Kind } from '../../../mesh/post/letter.js'
import type { Credentials } from '../../../mesh/seal/credentials.js'
import { helloFrame } from '../../../mesh/seal/frame.js'
import { beginIncarnation, type Incarnation, type Peer } from '../../../mesh/seal/incarnation.js'
import { utf8 } from '../../../mesh/seal/keys.js'
import { Initiator } from '../../../mesh/seal/noise.js'
import type { NatsTransport } from '../../../mesh/transport/nats.js'
import type { Bucket, Transport } from '../../../mesh/transport/transport.js'
import { readTrail, strictReader } from '../../../nodes/audit/read.js'
import type { NatsMesh } from '../../kit/mesh.js'

export interface Caught {
  subject: string
  bytes: Uint8Array
}

export class Tap {
  readonly addresses: Addresses
  readonly bucket: Bucket
  /** Every message of the mesh since the tap was put on. */
  readonly caught: Caught[] = []
  readonly #mesh: NatsMesh
  readonly #wire: NatsTransport
  readonly #records: NatsTransport

  private constructor(mesh: NatsMesh, wires: [NatsTransport, NatsTransport], addresses: Addresses, bucket: Bucket) {
    this.#mesh = mesh
    ;[this.#wire, this.#records] = wires
    this.addresses = addresses
    this.bucket = bucket
  }

  static async on(mesh: NatsMesh): Promise<Tap> {
    const wire = await mesh.connectAsAuthority()
    const addresses = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const tap = new Tap(mesh, [wire, await mesh.connectAsAuditor()], addresses, await wire.bucket(addresses.directory))
    await wire.subscribe(addresses.traffic, (subject, bytes) => tap.caught.push({ subject, bytes: bytes.slice() }))
    return tap
  }

  /** What was sent to a run of a node. */
  to(peer: Peer): Caught[] {
    return this.caught.filter(({ subject }) => subject === this.addresses.inbox(peer))
  }

  inject(peer: Peer, bytes: Uint8Array): void {
    this.#wire.publish(this.addresses.inbox(peer), bytes)
  }

  /** Refusals in the audit trail of the mesh, as its auditor reads them. */
  async refusals(): Promise<Refusal[]> {
    const found: Refusal[] = []
    const { authority } = this.#mesh
    const log = this.#records.log(this.addresses.auditStream)
    for await (const events of readTrail({ log, authority, after: 0, ...strictReader(authority.root.publicKey) })) {
      for (const event of events) {
        const { kind, facts } = event.open()
        if (kind === 'message.denied') found.push(refusalSchema.parse(facts))
      }
    }
    return found
  }

  async refused(): Promise<number> {
    return (await this.refusals()).reduce((sum, { count }) => sum + count, 0)
  }

  async close(): Promise<void> {
    await this.#records.close()
    await this.#wire.close()
  }
}

const refusalSchema = z.object({
  code: z.string().nullable(),
  reason: z.string(),
  node: z.string().nullable(),
  count: z.number(),
})
export type Refusal = z.output<typeof refusalSchema>

interface Lie {
  kind?: Kind
  call?: number
  from?: string
  sent?: number
  deadline?: number
  /** The run whose address is in the seal. */
  boundFor?: string
}

export class Traitor {
  readonly self: Incarnation
  readonly directory: Directory
  readonly #transport: Transport
  readonly #addresses: Addresses

  private constructor(self: Incarnation, directory: Directory, transport: Transport, addresses: Addresses) {
    this.self = self
    this.directory = directory
    this.#transport = transport
    this.#addresses = addresses
  }

  /** `now` is the time that the traitor says it is. */
  static async join(credentials: Credentials, transport: Transport, now: () => number = Date.now): Promise<Traitor> {
    const { mesh, meshKey, rootKey } = credentials
    const addresses = addressesOf(mesh, meshKey)
    const self = beginIncarnation(credentials)
    const bucket = await transport.bucket(addresses.directory)
    const directory = new Directory({ bucket, addresses, meshKey, rootKey, self, now })
    // It does not believe in the rules by which others refuse it.
    await directory.start({}).catch(() => undefined)
    return new Traitor(self, directory, transport, addresses)
  }

  /** Says anything to a peer, with a handshake of its own each time; what is left out is as an honest ask has it. */
  send(peer: Peer, lie: Lie, body: unknown): void {
    const now = Date.now()
    const { kind = 'ask', call = 1, from = this.self.id, sent = now, deadline = now + 60_000, boundFor = peer.id } = lie
    const addressOf = (id: string) => this.#addresses.inbox(this.directory.peer(id) ?? { ...this.self, id })
    const prologue = `clawmesh 2\0${addressOf(from)}\0${addressOf(boundFor)}`
    const initiator = new Initiator(this.self.agreement, peer.agreementPublic, utf8(prologue))
    const hello = initiator.write(introduction(sent, 1, encodeLetter(kind, call, deadline, body)))
    this.#transport.publish(this.#addresses.inbox(peer), helloFrame(from, hello))
  }

  async close(): Promise<void> {
    await this.directory.stop()
    await this.#transport.close()
  }
}
