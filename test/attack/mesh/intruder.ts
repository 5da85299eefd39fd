/**
 * The two enemies of these tests. The tap has every right on the broker and no key of the mesh: it reads, stores, repeats, changes and makes up whatever it
 * likes. The traitor is a certified member that keeps to no rule of the post.
 */

import { z } from 'zod'
import { type Addresses, addressesOf } from '../../../mesh/address.js'
import { openEvent } from '../../../mesh/audit/event.js'
import { readRecord } from '../../../mesh/audit/record.js'
import { binary, decode, encode } from '../../../mesh/codec.js'
import { Directory } from '../../../mesh/directory.js'
import { boundTo, encodeEnvelope, encodeHeader, type Header, newMessageId } from '../../../mesh/envelope.js'
import { Channels } from '../../../mesh/seal/channel.js'
import type { Credentials } from '../../../mesh/seal/credentials.js'
import { beginIncarnation, type Incarnation, type Peer } from '../../../mesh/seal/incarnation.js'
import type { NatsTransport } from '../../../mesh/transport/nats.js'
import type { Bucket, Transport } from '../../../mesh/transport/transport.js'
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
    for await (const { bytes } of this.#records.log(this.addresses.auditStream).read()) {
      for (const record of z.array(binary).parse(decode(bytes))) {
        const event = openEvent(readRecord(record).sealed, this.#mesh.authority.auditor)
        if (event.kind === 'message.denied') found.push(refusalSchema.parse(event.facts))
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

export class Traitor {
  readonly self: Incarnation
  readonly directory: Directory
  readonly #transport: Transport
  readonly #addresses: Addresses
  readonly #channels: Channels

  private constructor(self: Incarnation, directory: Directory, transport: Transport, addresses: Addresses) {
    this.self = self
    this.directory = directory
    this.#transport = transport
    this.#addresses = addresses
    this.#channels = new Channels(self)
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

  /** Seals anything to a peer, under any header; fields that are left out are those of an honest ask. */
  send(peer: Peer, header: Partial<Header>, body: unknown, subject = this.#addresses.inbox(peer)): void {
    const now = Date.now()
    const full = {
      kind: 'ask',
      from: this.self.id,
      to: peer.id,
      id: newMessageId(),
      call: 1,
      sent: now,
      deadline: now + 5000,
    }
    const headerBytes = encodeHeader({ ...full, ...header } as Header)
    const sealed = this.#channels.seal(peer, encode(body), boundTo(subject, headerBytes))
    this.#transport.publish(this.#addresses.inbox(peer), encodeEnvelope(headerBytes, sealed))
  }

  async close(): Promise<void> {
    await this.directory.stop()
    await this.#transport.close()
  }
}
