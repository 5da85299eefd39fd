/**
 * The way out of one action. What it connects to is held in its sandbox until it is decided here; then the sandbox's worker dials, outside, the address that
 * was decided on.
 *
 *     const egress = new Egress({ profile, workspace, own: { program, names: ['tool:fetch'] }, resolve: resolver(), ask, intend, record })
 *     await launch(plan, { egress })
 *
 * What holds:
 *   1. Nothing is dialled before its intent is recorded, and nothing that the policy does not allow, a person included.
 *   2. A name is resolved once, after the decision; each of its addresses is checked, and the one that was checked is dialled.
 *   3. What a program says by TLS goes out once it was seen to ask for the name that was decided on.
 *   4. Nobody is asked for what a yes would not reach, as far as that can be told before the name is resolved.
 *   5. Questions and refusals that are the same are one, and so is their record.
 */
import { constants } from 'node:os'
import { answerToConnect, scopeOf } from '../../policies/coverage.js'
import { ClawmeshError } from '../../policies/errors.js'
import { type Connection, isAskable, isNamed, reach } from '../../policies/network.js'
import type { Access, Profile } from '../../policies/profile.js'
import { type Answer, byWhom } from '../answer.js'
import { Folded, tooManyToName } from '../folded.js'
import { encodeOrder } from '../frames.js'
import type { Image } from '../image.js'
import { mostQuestions, tooMany } from '../patience.js'
import { refusalOf, refusalOfYes } from './address.js'
import { objectionTo, readHello } from './hello.js'
import { type Identity, identityOf, type Own } from './identity.js'
import { Names } from './names.js'
import type { Resolve } from './resolve.js'

export interface NetworkFacts {
  readonly host: string
  readonly port: number
  /** What was executed; empty where that cannot be told. */
  readonly program: string
  /** What it runs, where it is an interpreter and that is known. */
  readonly script?: string | undefined
  readonly [fact: string]: unknown
}

export interface EgressHooks {
  readonly resolve: Resolve
  /** Asks a person; left out, whatever would be asked for is refused. */
  readonly ask?: ((missing: Access) => Promise<Answer>) | undefined
  /** Awaited before each dial; if it throws, nothing is dialled. */
  readonly intend?: ((facts: NetworkFacts) => Promise<void>) | undefined
  /** What came of it. Of the same refusals the first is told at once, and the number of the others at the end. */
  readonly record?: ((kind: 'network.ended' | 'network.refused', facts: NetworkFacts) => void) | undefined
}

export interface EgressOptions extends EgressHooks {
  readonly profile: Profile
  readonly workspace: string
  readonly own: Own
}

interface Held {
  readonly host: string
  readonly port: number
  readonly who: Identity
  addresses: readonly string[]
  dialled: string
  isOpen: boolean
  since: number
  /** How often what it says first was shown. */
  looks: number
  /** It was seen to ask for its name by TLS. */
  tls: boolean
}

const { EACCES, ETIMEDOUT, EHOSTUNREACH } = constants.errno
const dialMs = 10_000
const placeBytes = 6
const idBytes = 4
/** A program that says its first words in more pieces wants something else. */
const mostLooks = 32
/** Where TLS is spoken, and nothing else. */
const tlsPorts: readonly number[] = [443]

export class Egress {
  readonly #options: EgressOptions
  readonly #names = new Names()
  readonly #images = new Map<string, Image>()
  readonly #held = new Map<number, Held>()
  readonly #timers = new Map<number, NodeJS.Timeout>()
  readonly #pinned = new Map<string, Promise<readonly string[]>>()
  readonly #answers = new Map<string, Promise<Answer>>()
  readonly #refusals: Folded<NetworkFacts>
  #send: (order: Buffer) => void = () => undefined
  #ended = false

  constructor(options: EgressOptions) {
    this.#options = options
    this.#refusals = new Folded<NetworkFacts>(
      (facts) => options.record?.('network.refused', facts),
      () => ({ host: '', port: 0, program: '', reason: tooManyToName }),
    )
  }

  /** Once, with the way to the worker. */
  begin(send: (order: Buffer) => void): void {
    this.#send = send
  }

  /** A question for a name, as it came from the worker. */
  asked(question: Buffer): void {
    const reply = this.#names.reply(question.subarray(placeBytes), (host) => this.#isUsable(host))
    if (reply) this.#send(encodeOrder('names', Buffer.concat([question.subarray(0, placeBytes), reply])))
  }

  /** What a process of the action began as; or the name alone of one of which that is no longer known. */
  began(image: Image | Pick<Image, 'name'>): void {
    if ('program' in image) this.#images.set(image.name, image)
    else this.#images.delete(image.name)
  }

  /** What the worker says of a connection. */
  heard(words: string): void {
    const [word, text = '', ...rest] = words.split(' ')
    const id = Number(text)
    const [first = '', second = '', third = '', image = ''] = rest
    if (word === 'connect') void this.#decide(id, Number(first), second, Number(third), image)
    else if (word === 'failed') this.#next(id, Number(first))
    else if (word === 'open') this.#opened(id)
    else if (word === 'closed') this.#closed(id, Number(first), Number(second))
  }

  /** What a program says first on a connection, where that begins as TLS does or has to. Until it is answered here, nothing of it goes out. */
  shown(bytes: Buffer): void {
    const id = bytes.readUInt32LE(0)
    const held = this.#held.get(id)
    if (!held) return this.#tell(`cut ${id}`)
    const hello = readHello(bytes.subarray(idBytes))
    held.looks += 1
    if (hello.kind === 'more' && held.looks < mostLooks) return this.#tell(`more ${id}`)
    const reason =
      hello.kind === 'more'
        ? 'its first message comes in too many pieces'
        : hello.kind === 'none'
          ? `what it says there is not to be understood: ${hello.why}`
          : objectionTo(hello, held.host)
    if (reason === undefined && hello.kind === 'hello') {
      held.tls = true
      return this.#tell(`pass ${id} ${hello.length}`)
    }
    this.#tell(`cut ${id}`)
    this.#refusals.take({ ...factsOf(held), address: held.dialled, reason })
  }

  /** Nothing of the action is left. */
  end(): void {
    this.#ended = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#refusals.end()
  }

  #isUsable(host: string): boolean {
    const { profile } = this.#options
    const isAsked = profile.ask.some(
      ({ kind, path }) => kind === 'connect' && isAskable({ host, port: portOf(path) }, path),
    )
    if (isNamed(profile.network, host) || isAsked) return true
    this.#refusals.take({ host, port: 0, program: '', reason: 'no policy names it, so it has no address' })
    return false
  }

  async #decide(id: number, thread: number, address: string, port: number, image: string): Promise<void> {
    const wanted = { host: this.#names.hostOf(address) ?? address, port }
    let facts: NetworkFacts = { ...wanted, program: '' }
    try {
      const { own, profile, workspace } = this.#options
      const who = await identityOf(thread, this.#images.get(image), own, profile, workspace)
      facts = factsOf({ ...wanted, who })
      if (who.loaders.length > 0)
        return this.#refuse(id, EACCES, { ...facts, reason: `${who.loaders[0]} may have made it another program` })
      const allowed = await this.#allowed(
        { ...wanted, programs: who.names, sha256: who.sha256, script: who.script },
        who,
      )
      if ('refused' in allowed) return this.#refuse(id, EACCES, { ...facts, reason: allowed.refused })
      const addresses = await this.#addressesOf(wanted.host)
      if (addresses.length === 0) return this.#refuse(id, EHOSTUNREACH, { ...facts, reason: 'its name leads nowhere' })
      for (const each of addresses) {
        const refusal = refusalOf(each, allowed.ips)
        if (refusal) return this.#refuse(id, EACCES, { ...facts, address: each, reason: refusal })
      }
      this.#held.set(id, {
        ...wanted,
        who,
        addresses,
        dialled: '',
        isOpen: false,
        since: performance.now(),
        looks: 0,
        tls: false,
      })
      this.#next(id, EHOSTUNREACH)
    } catch (error) {
      this.#refuse(id, EACCES, { ...facts, reason: ClawmeshError.from(error).message })
    }
  }

  /** With the addresses that it is bound to; or why it is not. */
  async #allowed(connection: Connection, who: Identity): Promise<{ ips: readonly string[] } | { refused: string }> {
    const { profile, workspace, ask } = this.#options
    const reached = reach(profile.network, connection)
    if (reached) return { ips: reached.endpoint.allowedIps }
    const { host, port } = connection
    const missing = { kind: 'connect' as const, path: `${host}:${port} by ${who.line}` }
    const beyondYes = scopeOf(profile, missing, workspace) && refusalOfYes(host)
    if (beyondYes) return { refused: beyondYes }
    if (!ask || answerToConnect(profile, missing.path, workspace) !== 'ask') return { refused: 'no policy allows it' }
    const known = this.#answers.get(missing.path)
    if (!known && this.#answers.size >= mostQuestions) return { refused: tooMany }
    const asked = known ?? ask(missing)
    this.#answers.set(missing.path, asked)
    const answer = await asked
    return answer === 'allow' ? { ips: [] } : { refused: `it was not allowed${byWhom(answer)}` }
  }

  #addressesOf(host: string): Promise<readonly string[]> {
    const found = this.#pinned.get(host) ?? this.#options.resolve(host)
    this.#pinned.set(host, found)
    return found
  }

  /** The next address of a connection, or what the last one failed with. */
  #next(id: number, error: number): void {
    const held = this.#held.get(id)
    if (!held || this.#ended) return
    clearTimeout(this.#timers.get(id))
    const [address, ...others] = held.addresses
    const { port, who } = held
    const facts = factsOf(held)
    if (address === undefined) {
      this.#held.delete(id)
      this.#tell(`refuse ${id} ${error}`)
      this.#options.record?.('network.ended', { ...facts, address: held.dialled, error, sent: 0, received: 0 })
      return
    }
    this.#held.set(id, { ...held, addresses: others, dialled: address })
    const intent =
      this.#options.intend?.({ ...facts, sha256: who.sha256, ...scriptHash(who), address }) ?? Promise.resolve()
    intent.then(
      () => {
        if (this.#ended) return
        this.#tell(`allow ${id} ${address} ${port}${tlsPorts.includes(port) ? ' tls' : ''}`)
        this.#timers.set(id, setTimeout(() => this.#giveUp(id), dialMs).unref())
      },
      (error) => this.#refuse(id, EACCES, { ...facts, reason: ClawmeshError.from(error).message }),
    )
  }

  #giveUp(id: number): void {
    const held = this.#held.get(id)
    if (held) this.#held.set(id, { ...held, addresses: [] })
    this.#next(id, ETIMEDOUT)
  }

  #opened(id: number): void {
    clearTimeout(this.#timers.get(id))
    const held = this.#held.get(id)
    if (held) held.isOpen = true
  }

  #closed(id: number, sent: number, received: number): void {
    clearTimeout(this.#timers.get(id))
    this.#timers.delete(id)
    const held = this.#held.get(id)
    if (!held) return
    this.#held.delete(id)
    const { dialled: address, isOpen: opened, tls } = held
    const ms = Math.round(performance.now() - held.since)
    this.#options.record?.('network.ended', { ...factsOf(held), address, sent, received, ms, opened, tls })
  }

  #refuse(id: number, error: number, facts: NetworkFacts): void {
    this.#held.delete(id)
    this.#tell(`refuse ${id} ${error}`)
    this.#refusals.take(facts)
  }

  #tell(words: string): void {
    if (!this.#ended) this.#send(encodeOrder('network', Buffer.from(words)))
  }
}

const factsOf = ({ host, port, who: { program, script } }: Pick<Held, 'host' | 'port' | 'who'>): NetworkFacts => ({
  host,
  port,
  program,
  ...(script && { script: script.path }),
})

const scriptHash = ({ script }: Identity) => (script ? { scriptSha256: script.sha256 } : {})

/** An entry that names a port is about that port; any other is about all. */
const portOf = (entry: string): number => Number(/:(\d+)$/.exec(entry)?.[1] ?? 1)
