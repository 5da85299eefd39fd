/**
 * Keeps mail and delivers it, on a node of the authority.
 *
 * 1. What is acknowledged is on the broker's disk: a death of the sender, of this process, of the broker or of whoever takes it loses nothing.
 * 2. Of what one sender has sent to one actor, one message is under way at a time, in the order in which they came; no sender's mail waits for another's. It is done when its handler has answered, or is a dead letter: when its handler refused it, when it
 *    crashed its actor again and again, or when its time is over. Anything else (no such actor now, a lost node, a full mailbox, a failure that may be gone the next time) is waited out.
 * 3. So it is delivered at least once, each time under the same id. That it was taken is on disk before the next one goes.
 * 4. The same message of the same sender under the same key is acknowledged and not delivered again, until the deadline of the first.
 * 5. It is bounded for each sender and actor, for each sender and in all, and a full one says so to the sender.
 * 6. What is large is in memory only while it is stored or handed over. Where it cannot be read as it was kept, it is a dead letter.
 */
import { setTimeout } from 'node:timers/promises'
import { ClawmeshError, type ErrorCode } from '../../policies/errors.js'
import type { Context } from '../actor/actor.js'
import { bodyOf } from '../body.js'
import { encode } from '../codec.js'
import type { MeshNode } from '../node.js'
import { Space } from '../post/space.js'
import { type Certificate, readCertificate } from '../seal/certificate.js'
import { digestOf, type Mail, mailAllowance, mailId, mailLimits, weightOf } from './mail.js'
import type { KeptRequest } from './messages.js'
import type { Place, Places } from './places.js'

/** A handler has so long for one message. */
const attemptMs = 60_000
const firstPauseMs = 100
const longestPauseMs = 5000
/** A message that has crashed its actor so often does not come again. */
const crashesAllowed = 4

/** One message, from its acceptance until its deadline is over. */
interface Kept {
  readonly id: string
  readonly what: string
  readonly until: number
  readonly place: Place
  /** Resolves when the broker has it. */
  readonly stored: Promise<void>
  isTaken: boolean
}

interface Waiting {
  readonly kept: Kept
  readonly mail: Mail
  /** Who sent it. */
  readonly holder: string
  readonly bytes: number
  /** Calls it off: nobody is to have it any more. */
  readonly forgotten: AbortController
  /** Resolves when it waits no more. */
  readonly over: Promise<void>
  readonly isOver: () => void
}

export class Office {
  readonly #node: MeshNode
  readonly #places: Places
  readonly #kept = new Map<string, Kept>()
  /** By sender and actor. */
  readonly #boxes = new Map<string, Waiting[]>()
  /** By sender and actor: while a large one is being stored, the last that came. What comes after it is stored after it, since the disk tells the next office their order. */
  readonly #storing = new Map<string, Promise<void>>()
  readonly #senders = new Map<string, Space>()
  readonly #space = new Space(mailLimits.messages, mailLimits.bytes)
  readonly #closing = new AbortController()

  constructor(node: MeshNode, places: Places) {
    this.#node = node
    this.#places = places
  }

  /** Takes up what an earlier process left. */
  async begin(): Promise<void> {
    const { standing, unreadable } = await this.#places.takeOver()
    for (const { place, standing: found } of standing) {
      const { id, what } = found.state === 'taken' ? found : found.mail
      const until = found.state === 'taken' ? found.until : found.mail.deadline
      const kept = { id, what, until, place, stored: Promise.resolve(), isTaken: found.state === 'taken' }
      this.#kept.set(id, kept)
      if (found.state === 'waiting') this.#takeUp(kept, found.mail)
    }
    const reason = 'What stands among the mail was not written by the office of this mesh, or changed.'
    if (unreadable > 0)
      await this.#node.note('message.denied', { code: 'UNAUTHENTIC', reason, node: null, count: unreadable })
  }

  /** Removes what waits of these tasks from the disk; resolves to how many messages that were. */
  async forget(tasks: ReadonlySet<string>): Promise<number> {
    const found = [...this.#boxes.values()].flat().filter(({ mail }) => tasks.has(mail.trace))
    for (const { forgotten } of found) forgotten.abort()
    // One that is not the first of its box would wait for those before it.
    for (const waiting of found) if (this.#boxes.get(boxOf(waiting))?.[0] !== waiting) await this.#takeOut(waiting)
    await Promise.all(found.map(({ over }) => over))
    return found.length
  }

  /** From the middle of its box. */
  async #takeOut(waiting: Waiting): Promise<void> {
    const box = this.#boxes.get(boxOf(waiting))
    const at = box?.indexOf(waiting) ?? -1
    if (at <= 0) return
    box?.splice(at, 1)
    const isStored = await waiting.kept.stored.then(
      () => true,
      () => false,
    )
    await this.#close(waiting, isStored)
  }

  #takeUp(kept: Kept, mail: Mail): void {
    const { holder } = readCertificate(mail.from, this.#node.rootKey)
    const bytes = weightOf(mail)
    this.#senderOf(holder).take(bytes)
    this.#space.take(bytes)
    this.#enter({ kept, mail, holder, bytes })
  }

  close(): void {
    this.#closing.abort(new ClawmeshError('UNREACHABLE', 'The office that keeps the mail is closing.'))
  }

  /** Resolves when it is stored. Rejects with MAILBOX_FULL, MESSAGE_INVALID, DISK_FULL, UNREACHABLE, BROKER_UNAVAILABLE. */
  async keep(request: KeptRequest, context: Context): Promise<void> {
    const from = this.#certificateOf(context)
    const { actor, message, content, to, about } = request
    const id = mailId(from.holder, actor, request.key)
    const what = digestOf(message, content)
    const known = this.#known(id)
    if (known) {
      if (known.what === what) return known.stored
      throw new ClawmeshError(
        'MESSAGE_INVALID',
        `Under the key "${request.key}" something else was sent to "${actor}".`,
        {
          hint: 'Give each message a key of its own.',
        },
      )
    }
    const whole = encode(content)
    const bytes = whole.length
    const body = bodyOf(whole, mailAllowance)
    const deadline = Math.floor(this.#node.now() + request.keepMs)
    const place = this.#room(actor, from.holder, bytes)
    const said = { actor, message, trace: context.trace, content: body ? null : content, body }
    const mail = { ...said, from: from.wire, deadline, to, about, id, what }
    const stored = this.#inTurn(boxOf({ holder: from.holder, mail }), body !== undefined, () =>
      this.#places.keep(place, mail, whole, this.#closing.signal),
    )
    const kept: Kept = { id, what, until: deadline, place, isTaken: false, stored }
    this.#kept.set(id, kept)
    stored.catch(() => this.#forget(id, kept))
    this.#enter({ kept, mail, holder: from.holder, bytes })
    return stored
  }

  #inTurn(box: string, isLarge: boolean, store: () => Promise<void>): Promise<void> {
    const before = this.#storing.get(box)
    const stored = before ? before.then(store) : store()
    if (!before && !isLarge) return stored
    const over = stored
      .catch(() => undefined)
      .then(() => {
        if (this.#storing.get(box) === over) this.#storing.delete(box)
      })
    this.#storing.set(box, over)
    return stored
  }

  #known(id: string): Kept | undefined {
    const kept = this.#kept.get(id)
    if (!kept?.isTaken || kept.until > this.#node.now()) return kept
    this.#forget(id, kept)
    return undefined
  }

  /** The sender as certified: his roles are those that it is delivered with. */
  #certificateOf({ sender }: Context): Certificate {
    const { self, directory } = this.#node
    const peer = sender.node === self.certificate.name ? self : directory.node(sender.node)?.peer
    if (peer) return peer.certificate
    throw new ClawmeshError('UNREACHABLE', `Node "${sender.node}" is not in the mesh any more.`)
  }

  /** Throws MAILBOX_FULL where one of the bounds is reached. */
  #room(actor: string, holder: string, bytes: number): Place {
    const full = (what: string) =>
      new ClawmeshError('MAILBOX_FULL', `${what}: no more mail is kept for now.`, { hint: 'Send more slowly.' })
    if ((this.#boxes.get(boxOf({ holder, mail: { actor } }))?.length ?? 0) >= mailLimits.perActor)
      throw full(`${mailLimits.perActor} messages of this node wait for actor "${actor}"`)
    const sender = this.#senderOf(holder)
    if (!sender.take(bytes)) throw full('Too much waits of what this node has sent')
    if (this.#space.take(bytes)) {
      const place = this.#place()
      if (place) return place
      this.#space.give(bytes)
    }
    sender.give(bytes)
    throw full('Too much waits in all')
  }

  #place(): Place | undefined {
    const now = this.#node.now()
    for (const [id, kept] of this.#kept) {
      if (!kept.isTaken || kept.until > now) break
      this.#forget(id, kept)
    }
    const place = this.#places.take()
    if (place) return place
    for (const [id, kept] of this.#kept) {
      if (!kept.isTaken) continue
      this.#forget(id, kept)
      return this.#places.take()
    }
    return undefined
  }

  #forget(id: string, { place }: Kept): void {
    this.#kept.delete(id)
    this.#places.give(place)
  }

  #senderOf(holder: string): Space {
    const known = this.#senders.get(holder)
    if (known) return known
    const space = new Space(mailLimits.perSender.messages, mailLimits.perSender.bytes)
    this.#senders.set(holder, space)
    return space
  }

  #enter(parts: Pick<Waiting, 'kept' | 'mail' | 'holder' | 'bytes'>): void {
    let isOver: () => void = () => undefined
    const over = new Promise<void>((resolve) => (isOver = resolve))
    const waiting: Waiting = { ...parts, forgotten: new AbortController(), over, isOver }
    const key = boxOf(waiting)
    const box = this.#boxes.get(key)
    if (box) box.push(waiting)
    else {
      this.#boxes.set(key, [waiting])
      void this.#work(key).catch((error: unknown) => this.#end(ClawmeshError.from(error)))
    }
  }

  async #work(key: string): Promise<void> {
    const box = this.#boxes.get(key) ?? []
    for (let next = box[0]; next; next = box[0]) {
      const isStored = await next.kept.stored.then(
        () => true,
        () => false,
      )
      if (isStored) await this.#see(next)
      // It is taken from the box before it is closed: who forgets it finds it in the one or waits for the other.
      box.shift()
      await this.#close(next, isStored)
    }
    this.#boxes.delete(key)
  }

  /** Until it is taken, dead or forgotten. Rejects when the office ends. */
  async #see({ mail, forgotten }: Waiting): Promise<void> {
    const signal = AbortSignal.any([this.#closing.signal, forgotten.signal])
    let crashes = 0
    let begun = false
    for (let pause = firstPauseMs; !forgotten.signal.aborted; pause = Math.min(2 * pause, longestPauseMs)) {
      const failure = await this.#attempt(mail, signal)
      if (!failure || forgotten.signal.aborted) return
      this.#closing.signal.throwIfAborted()
      begun ||= !neverBegun.has(failure.code) && failure.data['nowhere'] !== true
      if (failure.code === 'ACTOR_CRASHED') crashes += 1
      const isLate = mail.deadline <= this.#node.now()
      const isFinal = (!failure.retry && failure.code !== 'CANCELLED') || crashes >= crashesAllowed
      if (isFinal || isLate) return this.#bury(mail, isFinal ? failure : late(mail, failure), begun)
      await rest(Math.min(pause, mail.deadline - this.#node.now()), signal)
    }
  }

  async #close({ kept, mail, holder, bytes, isOver }: Waiting, isStored = true): Promise<void> {
    if (isStored) await this.#places.close(kept.place, mail, this.#closing.signal)
    kept.isTaken = true
    this.#space.give(bytes)
    this.#senderOf(holder).give(bytes)
    isOver()
  }

  /** Why it was not taken, if it was not. */
  async #attempt(mail: Mail, signal: AbortSignal): Promise<ClawmeshError | undefined> {
    try {
      if (mail.deadline <= this.#node.now()) return late(mail, undefined, { nowhere: true })
      const deadline = Math.min(mail.deadline, this.#node.now() + attemptMs)
      await this.#node.deliver(mail, () => this.#read(mail), { deadline, signal })
      return undefined
    } catch (error) {
      return ClawmeshError.from(error)
    }
  }

  async #read(mail: Mail): Promise<unknown> {
    try {
      return await this.#places.contentOf(mail)
    } catch (cause) {
      const { code, message, hint } = ClawmeshError.from(cause)
      throw new ClawmeshError(code, message, { hint, data: { nowhere: true }, cause })
    }
  }

  /** Resolves when the stream of dead letters has it. */
  async #bury(mail: Mail, { code, message: reason }: ClawmeshError, begun: boolean): Promise<void> {
    const { actor, message, trace, deadline, to, content } = mail
    const from = readCertificate(mail.from, this.#node.rootKey)
    const lost = { code, reason, begun, from, actor, message, trace, deadline, to, content, bytes: weightOf(mail) }
    while (!(await this.#node.bury(lost))) {
      this.#closing.signal.throwIfAborted()
      await rest(longestPauseMs, this.#closing.signal)
    }
  }

  /** Another process has taken over, or this one closes. What is on disk is the next one's. */
  #end(error: ClawmeshError): void {
    if (this.#closing.signal.aborted) return
    const facts = { code: error.code, reason: error.message, node: this.#node.name, count: 1 }
    void this.#node.note('message.denied', facts).catch(() => undefined)
    this.close()
  }
}

/** What is refused with these was not begun. */
const neverBegun = new Set<ErrorCode>(['DENIED', 'UNKNOWN_MESSAGE', 'MESSAGE_INVALID', 'MAILBOX_FULL', 'ACTOR_MOVED'])

/** For so long, or until the signal. */
const rest = (ms: number, signal: AbortSignal) =>
  setTimeout(ms, undefined, { signal, ref: false }).catch(() => undefined)

/** `data`: that nothing was begun, where that is known. */
const late = ({ actor, message, deadline }: Mail, last?: ClawmeshError, data = {}) =>
  new ClawmeshError(
    'DEADLINE',
    `Actor "${actor}" did not take ${message} until ${new Date(deadline).toISOString()}${last ? `; the last time: ${last.message}` : '.'}`,
    { data },
  )

const boxOf = ({ holder, mail }: { holder: string; mail: Pick<Mail, 'actor'> }): string => `${holder} ${mail.actor}`
