/**
 * Tells the mesh when the broker sees a node's connection end, so that nobody has to wait for the end of its lease to take it for lost. The broker says so in its own account alone, to a user
 * that may hear of ends of connections in the account of the mesh and do nothing else.
 *
 * 1. A node that is back, or beats on, within a moment is not spoken of.
 * 2. What is said is a hint (directory.ts): who is alive answers it with a beat, and is lost to nobody.
 * 3. Once for each beat: whoever opens and ends connections without end has no more said of himself.
 */
import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import type { Addresses } from '../../mesh/address.js'
import type { BrokerAccounts } from '../../mesh/broker/accounts.js'
import type { Directory } from '../../mesh/directory.js'
import type { Authority } from '../../mesh/seal/authority.js'
import { writeHangup } from '../../mesh/seal/hangup.js'
import { connectNats, type NatsAccess } from '../../mesh/transport/nats.js'
import type { Bucket } from '../../mesh/transport/transport.js'

/** A client that lost its connection tries again after a tenth of a second. */
const settleMs = 250
/** By then the lease is over too, and nobody needs the hint. */
const forgetMs = 30_000

/** The name of the user is the holder of its certificate. */
const eventSchema = z.object({ client: z.object({ name_tag: z.string() }) })

export interface HangupsOptions {
  authority: Authority
  accounts: BrokerAccounts
  addresses: Addresses
  access: Omit<NatsAccess, 'user'>
  directory: Directory
  /** Of the directory, with the right to write there what no member may. */
  bucket: Bucket
}

export interface Hangups {
  close(): Promise<void>
}

export async function tellHangups({ access, accounts, addresses, ...rest }: HangupsOptions): Promise<Hangups> {
  const connection = await connectNats({ ...access, user: await accounts.watcher(), name: 'hangups' })
  const teller = new Teller({ addresses, ...rest })
  await connection.subscribe(addresses.disconnects(accounts.account), (_, bytes) => void teller.heard(bytes))
  return {
    close: () => {
      teller.close()
      return connection.close()
    },
  }
}

class Teller {
  readonly #options: Omit<HangupsOptions, 'access' | 'accounts'>
  readonly #settling = new Set<string>()
  /** By run. */
  readonly #told = new Map<string, number>()
  readonly #closing = new AbortController()

  constructor(options: Omit<HangupsOptions, 'access' | 'accounts'>) {
    this.#options = options
  }

  async heard(bytes: Uint8Array): Promise<void> {
    const holder = holderIn(bytes)
    if (holder === undefined || this.#settling.has(holder)) return
    this.#settling.add(holder)
    try {
      await this.#tell(holder)
    } catch {
      // A broker that is away takes no hint: the lease tells all the same.
    } finally {
      this.#settling.delete(holder)
    }
  }

  close(): void {
    this.#closing.abort()
  }

  async #tell(holder: string): Promise<void> {
    const { directory, bucket, addresses, authority } = this.#options
    const before = directory.newestOf(holder)
    await setTimeout(settleMs, undefined, { ref: false, signal: this.#closing.signal })
    const newest = directory.newestOf(holder)
    if (!before || !newest || newest.run !== before.run || newest.beat !== before.beat) return
    const { run, beat, name } = newest
    if (this.#told.get(run) === beat) return
    this.#told.set(run, beat)
    const key = addresses.hangupKey(name)
    const revision = await bucket.put(key, writeHangup(authority.mesh, { run, beat }, authority.root), 0)
    await setTimeout(forgetMs, undefined, { ref: false, signal: this.#closing.signal })
    this.#told.delete(run)
    await bucket.delete(key, revision)
  }
}

function holderIn(bytes: Uint8Array): string | undefined {
  try {
    return eventSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes))).data?.client.name_tag
  } catch {
    return undefined
  }
}
