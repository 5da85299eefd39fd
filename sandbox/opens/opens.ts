/**
 * The files that one action opens, and the names that it changes, beyond what it was granted. Such an open is held in its sandbox until it is decided here; what a person allows is opened by
 * another worker, and only the open file is given to the action. A name that a person lets it change is changed by another worker, too.
 *
 *     const opens = new Opens({ profile, workspace, mounts: plan.mounts, pool, ask, intend, record })
 *     await launch(plan, { opens })
 *
 * What holds:
 *   1. Nothing is opened that a person did not allow by its real path, and nothing before its intent is recorded.
 *   2. Whatever nobody is asked about goes on as if it had not been held: the kernel denies all that is not granted.
 *   3. Nobody is asked to let anything be written, or a name be changed, where the action may execute.
 *   4. The same question is asked once in an action, and there are few of them.
 */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:os'
import { ClawmeshError } from '../../policies/errors.js'
import type { Access, Profile } from '../../policies/profile.js'
import { type Answer, byWhom } from '../answer.js'
import { type Identity, identityOf, type Own } from '../egress/identity.js'
import { Folded, tooManyToName } from '../folded.js'
import { encodeOrder } from '../frames.js'
import type { Image } from '../image.js'
import { mostQuestions, tooMany } from '../patience.js'
import type { Pool } from '../pool.js'
import { isOperation, makeChange, type Operation, type WantedChange, wantedChange } from './change.js'
import { handOver } from './hand.js'
import { Rule, type RuleOptions } from './rule.js'
import { wantedFile } from './wanted.js'

export interface FileFacts {
  readonly access: 'read' | 'write'
  readonly path: string
  /** What was executed. */
  readonly program: string
  /** Of a name that is changed, and to what; of a symbolic link, where it leads. */
  readonly operation?: Operation
  readonly to?: string
  /** Of a rename: something has that name, and goes. */
  readonly replaces?: true
  readonly [fact: string]: unknown
}

/** Without an operation, the file is to be opened. */
export type AskedOfFile = Access & { readonly by: string } & Pick<FileFacts, 'operation' | 'to' | 'replaces'>

export interface OpensHooks {
  /** Asks a person; `by` is the program, and of an interpreter what it runs. Withdrawn by the signal where the action ends first. */
  readonly ask: (missing: AskedOfFile, signal: AbortSignal) => Promise<Answer>
  /** Awaited before each open; if it throws, nothing is opened. */
  readonly intend?: ((facts: FileFacts) => Promise<void>) | undefined
  /** What came of it. Of the same refusals the first is told at once, and the number of the others at the end. */
  readonly record?: ((kind: 'file.opened' | 'file.changed' | 'file.refused', facts: FileFacts) => void) | undefined
}

export interface OpensOptions extends OpensHooks, RuleOptions {
  /** Left out, nothing goes by the name of a tool. */
  readonly own?: Own | undefined
  /** Where the workers that open files come from. */
  readonly pool?: Pool | undefined
}

/** Which opens of an action are to be held; undefined for none. */
export type Holding = 'writes' | 'all' | undefined

export function holdingOf({ ask }: Profile): Holding {
  if (ask.some(({ kind }) => kind === 'read')) return 'all'
  return ask.some(({ kind }) => kind === 'write') ? 'writes' : undefined
}

const ofPrograms = 'what the action may execute is not written, so nobody is asked for it'
const nobody: Own = { program: '', names: [] }

const { EACCES } = constants.errno

export class Opens {
  /** The name under which the action's worker takes files. */
  readonly door = randomBytes(16).toString('hex')
  readonly #options: OpensOptions
  readonly #rule: Rule
  readonly #images = new Map<string, Image>()
  readonly #answers = new Map<string, Promise<Answer>>()
  /** Intended, and not yet known to be with the action. */
  readonly #handed = new Map<number, FileFacts>()
  /** Whoever wants to know whether a call is still there. */
  readonly #lasting = new Map<number, (lasts: boolean) => void>()
  readonly #refusals: Folded<FileFacts>
  readonly #ended = new AbortController()
  #send: (order: Buffer) => void = () => undefined

  constructor(options: OpensOptions) {
    this.#options = options
    this.#rule = new Rule(options)
    this.#refusals = new Folded<FileFacts>(
      (facts) => options.record?.('file.refused', facts),
      (facts) => ({ ...facts, path: '', reason: tooManyToName }),
    )
  }

  get holding(): Holding {
    return holdingOf(this.#options.profile)
  }

  /** Once, with the way to the worker. */
  begin(send: (order: Buffer) => void): void {
    this.#send = send
  }

  /** What a process of the action began as; or the name alone of one of which that is no longer known. */
  began(image: Image | Pick<Image, 'name'>): void {
    if ('program' in image) this.#images.set(image.name, image)
    else this.#images.delete(image.name)
  }

  /** What the worker says of an open. */
  heard(bytes: Buffer): void {
    const text = bytes.toString()
    const [, id = '', thread, flags, mode, image = '', path = ''] =
      /^open (\d+) (\d+) (\d+) (\d+) ([0-9a-f]+) (.*)$/s.exec(text) ?? []
    const [, given, error] = /^given (\d+) (\d+)$/.exec(text) ?? []
    const [, lasting = '', lasts] = /^lasts (\d+) ([01])$/.exec(text) ?? []
    if (given !== undefined) this.#given(Number(given), Number(error))
    else if (lasts !== undefined) this.#lasting.get(Number(lasting))?.(lasts === '1')
    else if (text.startsWith('change ')) this.#heardChange(text, bytes)
    // Whoever is asked has to see the name that it is.
    else if (!Buffer.from(text).equals(bytes)) this.#tell(`continue ${Number(text.split(' ')[1])}`)
    else if (id !== '') {
      const who = () => this.#who(Number(thread), image)
      void this.#decide(Number(id), who, Number(flags), Number(mode), path)
    }
  }

  #heardChange(text: string, bytes: Buffer): void {
    const [, id = '', thread, image = '', operation = '', mode, path = '', to = ''] =
      /^change (\d+) (\d+) ([0-9a-f]+) ([a-z-]+) (\d+) ([^\0]*)\0(.*)$/s.exec(text) ?? []
    if (!isOperation(operation) || !Buffer.from(text).equals(bytes))
      return this.#tell(`continue ${Number(text.split(' ')[1])}`)
    const change = () => wantedChange(operation, path, to, Number(mode))
    void this.#decideChange(Number(id), () => this.#who(Number(thread), image), change, Number(mode))
  }

  /** Nothing of the action is left. */
  end(): void {
    this.#ended.abort()
    for (const settle of this.#lasting.values()) settle(false)
    for (const facts of this.#handed.values())
      this.#options.record?.('file.refused', { ...facts, reason: 'the action had ended by then' })
    this.#handed.clear()
    this.#refusals.end()
  }

  #who(thread: number, image: string): Promise<Identity> {
    const { profile, workspace, own = nobody } = this.#options
    return identityOf(thread, this.#images.get(image), own, profile, workspace)
  }

  async #decide(id: number, who: () => Promise<Identity>, flags: number, mode: number, path: string): Promise<void> {
    const file = await wantedFile(path, flags).catch(() => undefined)
    const ruling = file && (await this.#rule.ofFile(file))
    if (!ruling) return this.#tell(`continue ${id}`)
    let facts: FileFacts = { access: file.access, path: file.path, program: '' }
    try {
      const { program, sha256, script, line } = await who()
      facts = { ...facts, program, ...(script && { script: script.path }) }
      if (ruling === 'program') return this.#refuse(id, { ...facts, reason: ofPrograms })
      if (this.#ended.signal.aborted) return
      const asked = { kind: file.access, path: file.path, by: line }
      const refusal = await this.#refusal(id, asked)
      if (refusal !== undefined) return this.#refuse(id, { ...facts, reason: refusal })
      if (this.#ended.signal.aborted) return
      await this.#options.intend?.({ ...facts, sha256, kind: file.kind })
      if (this.#ended.signal.aborted) return this.#refuse(id, { ...facts, reason: 'the action had ended by then' })
      this.#handed.set(id, facts)
      await handOver({ door: this.door, id, file, flags, mode }, this.#options.pool)
    } catch (error) {
      this.#handed.delete(id)
      this.#refuse(id, { ...facts, reason: ClawmeshError.from(error).message })
    }
  }

  async #decideChange(
    id: number,
    who: () => Promise<Identity>,
    look: () => Promise<WantedChange | undefined>,
    mode: number,
  ): Promise<void> {
    const change = await look().catch(() => undefined)
    const ruling = change && (await this.#rule.ofChange(change))
    if (!ruling) return this.#tell(`continue ${id}`)
    if (change.error) return this.#tell(`refuse ${id} ${change.error}`)
    const { operation, path, to, replaced } = change
    const what = { operation, ...(to && { to }), ...(replaced && { replaces: true as const }) }
    let facts: FileFacts = { access: 'write', path, ...what, program: '' }
    try {
      const { program, sha256, script, line } = await who()
      facts = { ...facts, program, ...(script && { script: script.path }) }
      if (ruling === 'program') return this.#refuse(id, { ...facts, reason: ofPrograms })
      if (this.#ended.signal.aborted) return
      const asked = { kind: 'write', path, by: line, ...what } as const
      const refusal = await this.#refusal(id, asked)
      if (refusal !== undefined) return this.#refuse(id, { ...facts, reason: refusal })
      if (this.#ended.signal.aborted) return
      await this.#options.intend?.({ ...facts, sha256 })
      // A person may have thought for minutes, and what asked may have been ended by another of the action's processes.
      if (!(await this.#lasts(id))) return this.#refuse(id, { ...facts, reason: 'whoever wanted it had ended by then' })
      const error = await makeChange(change, mode, this.#options.pool)
      if (error !== 0) {
        this.#tell(`refuse ${id} ${error}`)
        return this.#refusals.take({ ...facts, reason: 'it could not be done', error })
      }
      this.#tell(`done ${id}`)
      this.#options.record?.('file.changed', facts)
    } catch (error) {
      this.#refuse(id, { ...facts, reason: ClawmeshError.from(error).message })
    }
  }

  #lasts(id: number): Promise<boolean> {
    if (this.#ended.signal.aborted) return Promise.resolve(false)
    return new Promise<boolean>((settle) => {
      this.#lasting.set(id, settle)
      this.#tell(`lasts ${id}`)
    }).finally(() => this.#lasting.delete(id))
  }

  /** Why a person did not allow it; undefined for a yes. One to a change is for one: what is done twice has another effect, as where another file has the name by then. */
  async #refusal(id: number, asked: AskedOfFile): Promise<string | undefined> {
    const { by: _, ...what } = asked
    const key = JSON.stringify(what)
    for (;;) {
      const known = this.#answers.get(key)
      if (!known && this.#answers.size >= mostQuestions) return tooMany
      this.#tell(`asked ${id}`)
      const asking = known ?? this.#options.ask(asked, this.#ended.signal)
      this.#answers.set(key, asking)
      const answer = await asking
      if (answer !== 'allow') return `it was not allowed${byWhom(answer)}`
      if (asked.operation === undefined) return undefined
      if (!known) {
        this.#answers.delete(key)
        return undefined
      }
      if (this.#ended.signal.aborted) return 'the action had ended by then'
    }
  }

  #given(id: number, error: number): void {
    const facts = this.#handed.get(id)
    this.#handed.delete(id)
    if (!facts) return
    if (error === 0) this.#options.record?.('file.opened', facts)
    else this.#refusals.take({ ...facts, reason: 'whoever wanted it could not take it', error })
  }

  #refuse(id: number, facts: FileFacts): void {
    this.#tell(`refuse ${id} ${EACCES}`)
    this.#refusals.take(facts)
  }

  #tell(words: string): void {
    if (!this.#ended.signal.aborted) this.#send(encodeOrder('open', Buffer.from(words)))
  }
}
