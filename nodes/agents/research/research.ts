/**
 * Hybrid research: models of the mesh plan and read, each source on a node of its own, and bring evidence with the place where it stands. One model writes the
 * answer from that: one elsewhere, if the rules of the mesh let every single piece leave, else the most capable of the mesh, else none.
 *
 *     const { answer, evidence, writer, bill } = await research(node, { question, sources: ['a.txt', 'b.txt'], readers: ['reader-1', 'reader-2'] })
 *
 * 1. Plan and reading never leave the mesh, whatever the rules say.
 * 2. A quote that is not in its source word for word is no evidence.
 * 3. Each piece is judged with the label of all that was read of its source, and then all of them together. What keeps a prompt here is `think` all the same, which
 *    judges once more what is asked.
 */
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { ChatMessage, ModelInfo } from '../../../inference/backend.js'
import { DescribeModel, inferenceName } from '../../../inference/service.js'
import type { CallOptions, MeshNode } from '../../../mesh/index.js'
import type { Task } from '../../../mesh/task/task.js'
import { ClawmeshError, type ErrorCode } from '../../../policies/errors.js'
import type { Prices } from '../../../policies/prices.js'
import type { RouterSession } from '../../../router/session.js'
import { thoughts } from '../authority.js'
import { inTurn } from '../job/turn.js'
import { candidates, modelsOfMesh } from '../model/candidate.js'
import { readPrices } from '../model/costs.js'
import { openSession } from '../model/privacy.js'
import { think } from '../model/think.js'
import { Account } from './account.js'
import { type ResearchBill, type ResearchRole, researchRoles, type Used } from './bill.js'
import { writerElsewhere } from './elsewhere.js'
import { distinct, type Evidence, placeOf } from './evidence.js'
import { citedIn, planPrompt, readPlan, writePrompt } from './prompt.js'
import { isUrl, ReadSource, usedSchema } from './reader.js'

export interface Research {
  question: string
  /** Files, relative to the workspace of the sandboxes, and URLs that their policy lets be reached. */
  sources: readonly string[]
  /** Whose files these are, as `workspaceId` names them; left out: those of each reader's machine. */
  workspace?: string | undefined
  /** Names of reader actors. */
  readers: readonly string[]
  /** Of the mesh, for plan and reading; the most capable if left out. */
  model?: string | undefined
  prices?: Prices
  /** Bytes of a source, as far as they are known: what reading it may take at most goes by that. */
  sizeOf?: ((source: string) => number | undefined) | undefined
}

export interface ResearchOptions {
  signal?: AbortSignal
  trace?: string
  /** Of the whole; half an hour unless said otherwise. */
  ms?: number
  progress?: (text: string) => void
  /** Keeps what was planned, read and written, and holds what it may use. Whoever began it ends it. */
  task?: Task | undefined
}

export interface ResearchResult {
  trace: string
  answer: string
  /** What the answer was written from; it says [1] of the first. */
  evidence: (Evidence & { place: string; cited: boolean })[]
  writer: {
    model: string
    zone: 'mesh' | 'elsewhere'
    /** Why it was not one elsewhere; the empty string if it was. */
    reason: string
  }
  /** Numbers in the answer that no evidence has. */
  unknownCitations: number[]
  /** Quotes that models made up, and that are no evidence. */
  madeUp: number
  /** Sources, or passages of them, that could not be read, with the reason. */
  unread: string[]
  bill: ResearchBill
}

const usualMs = 1_800_000
const sourceMs = 600_000
const mostEvidence = 60
/** What a page may come to, and any source whose size nobody knows. */
const usualBytes = 64 * 1024
const answerTokens = 1200
const sourcesAtOnce = 2

/**
 * Throws MODEL_UNSUITED or UNREACHABLE where no model of the mesh can read, DENIED where none may write, TASK_FAILED where nothing was found, CANCELLED; BUDGET_SPENT and PRICE_UNKNOWN
 * where its task has less than is needed.
 */
export async function research(
  node: MeshNode,
  asked: Research,
  options: ResearchOptions = {},
): Promise<ResearchResult> {
  const { task } = options
  const trace = task?.id ?? options.trace ?? randomUUID()
  const record = { trace, actor: 'research' }
  await node.audit.intend({
    kind: task?.isResumed ? 'task.resumed' : 'task.started',
    ...record,
    facts: { task: asked.question, sources: [...asked.sources] },
  })
  try {
    const researcher = new Researcher(node, asked, { ...options, trace })
    const result = await node.work('research', { task: trace, actor: 'research' }, () => researcher.run())
    const { writer, evidence, bill } = result
    const cited = evidence.filter((each) => each.cited).map(({ place }) => place)
    await node.audit.record({
      kind: 'task.ended',
      ...record,
      facts: { writer, cited, cost: bill.cost, prices: bill.prices },
    })
    return result
  } catch (error) {
    const { code, message } = ClawmeshError.from(error)
    await node.audit.record({ kind: 'task.ended', ...record, facts: { code, reason: message } })
    throw error
  }
}

class Researcher {
  readonly #node: MeshNode
  readonly #asked: Research
  readonly #options: ResearchOptions & { trace: string }
  readonly #deadline: number
  readonly #signal: AbortSignal
  readonly #account: Account
  readonly #unread: string[] = []
  #madeUp = 0

  constructor(node: MeshNode, asked: Research, options: ResearchOptions & { trace: string }) {
    this.#node = node
    this.#asked = asked
    this.#options = options
    this.#deadline = Math.min(node.now() + (options.ms ?? usualMs), options.task?.until ?? Number.POSITIVE_INFINITY)
    const { prices = readPrices() } = asked
    this.#account = new Account(options.task, { prices, models: () => candidates(node) })
    this.#signal = options.signal ?? new AbortController().signal
  }

  async run(): Promise<ResearchResult> {
    const { question, sources } = this.#asked
    if (sources.length === 0)
      throw new ClawmeshError('USAGE', 'There are no sources.', { hint: 'Name a folder with text files.' })
    const session = await openSession(this.#node, this.#options.trace)
    const local = await mostCapable(this.#node, this.#asked.model, this.#call)
    const { questions } = await this.#account.step('plan', planSchema, async () => {
      const { text, used } = await this.#ask('plan', planPrompt(question, sources), { model: local.name }, session)
      const planned = readPlan(text, question)
      await this.#node.audit.record({
        kind: 'task.planned',
        trace: this.#options.trace,
        actor: 'research',
        facts: { questions: planned },
      })
      return { questions: planned, used }
    })
    this.#say(`${sources.length} sources, ${questions.length} questions: ${questions.join(' · ')}`)
    const evidence = await this.#read(questions, local.name, session)
    if (evidence.length === 0) {
      const why = this.#unread.length > 0 ? ` ${this.#unread.length} could not be read: ${this.#unread[0]}.` : ''
      throw new ClawmeshError('TASK_FAILED', `Nothing in the sources answers the question.${why}`, {
        hint: 'Ask in other words, name other sources, or use a more capable model.',
      })
    }
    const { answer, writer } = await this.#account.step('write', writtenSchema, () =>
      this.#write(evidence, local.name, session),
    )
    const { cited, unknown } = citedIn(answer, evidence.length)
    return {
      trace: this.#options.trace,
      answer: answer.trim(),
      evidence: evidence.map((each, index) => ({ ...each, place: placeOf(each), cited: cited.includes(index + 1) })),
      writer,
      unknownCitations: unknown,
      madeUp: this.#madeUp,
      unread: this.#unread,
      bill: this.#account.bill,
    }
  }

  /** Side by side over the readers; a source whose reader was lost goes to the next. */
  async #read(questions: string[], model: string, session: RouterSession): Promise<Evidence[]> {
    const { sources, workspace, readers } = this.#asked
    const { sensitivity: seen } = session
    let done = 0
    const files = workspace === undefined ? {} : { workspace }
    const read = await inTurn([...sources], readers.length * sourcesAtOnce, async (path, index) => {
      for (let attempt = 0; ; attempt += 1) {
        const reader = readers[(index + attempt) % readers.length] ?? ''
        const deadline = Math.min(this.#deadline, this.#node.now() + sourceMs)
        try {
          const found = await this.#account.step(`read ${index + 1} ${path}`, readSchema, () =>
            this.#account.paid(`reading ${path}`, { bytes: this.#sizeOf(path), ms: sourceMs }, async ({ tokens }) => {
              const call = { ...this.#call, deadline, entrust: reading(tokens) }
              const read = await this.#node
                .ref(reader)
                .ask(ReadSource, { path, ...files, questions, model, seen }, call)
              return { ...read, used: read.used.map((use) => ({ ...use, role: 'read' as const })) }
            }),
          )
          done += 1
          this.#say(`${path}: ${found.evidence.length} pieces of evidence (${done} of ${sources.length})`)
          return found
        } catch (error) {
          const failure = ClawmeshError.from(error)
          if (this.#signal.aborted || endsAll.has(failure.code)) throw failure
          if (failure.retry && attempt + 1 < readers.length) continue
          this.#unread.push(`${path}: ${failure.message}`)
          return undefined
        }
      }
    })
    for (const [index, found] of read.entries()) {
      if (!found) continue
      // Whoever writes has been told what these readers made of all that they read.
      if (found.evidence.length > 0) session.raise(found.seen)
      this.#madeUp += found.madeUp
      if (found.unread > 0) this.#unread.push(`${sources[index]}: ${found.unread} passages`)
    }
    return distinct(read.flatMap((found) => found?.evidence ?? [])).slice(0, mostEvidence)
  }

  /** One call elsewhere if all of it may leave, else the model of the mesh. */
  async #write(
    evidence: readonly Evidence[],
    local: string,
    session: RouterSession,
  ): Promise<z.output<typeof writtenSchema>> {
    const messages = writePrompt(this.#asked.question, evidence)
    const elsewhere = await writerElsewhere(this.#node, {
      evidence,
      request: { messages, maxTokens: answerTokens },
      session,
      asker: { roles: this.#node.roles, actor: 'research', trace: this.#options.trace },
      mayAsk: (model) => this.#account.mayAsk(model),
    })
    const tried: Used[] = []
    let reason: string
    if ('kept' in elsewhere) reason = elsewhere.kept
    else {
      try {
        const { text, used } = await this.#ask('write', messages, { model: elsewhere.model, used: tried }, session)
        return { answer: text, writer: { model: elsewhere.model, zone: 'elsewhere', reason: '' }, used }
      } catch (error) {
        const { code, message } = ClawmeshError.from(error)
        if (this.#signal.aborted || code === 'AUDIT_UNAVAILABLE' || endsAll.has(code)) throw error
        reason = `${elsewhere.model} wrote nothing: ${message}`
      }
    }
    this.#say(`${local} writes: ${reason}`)
    const { text, used } = await this.#ask('write', messages, { model: local, used: tried }, session)
    return { answer: text, writer: { model: local, zone: 'mesh', reason }, used }
  }

  /** With all that was used for it; `used` has what was used before, in vain. */
  async #ask(
    role: ResearchRole,
    messages: ChatMessage[],
    { model, used = [] }: { model: string; used?: Used[] },
    session: RouterSession,
  ) {
    const request = { messages, maxTokens: answerTokens, temperature: 0 }
    const bytes = Buffer.byteLength(JSON.stringify(messages)) + answerTokens
    const left = this.#deadline - this.#node.now()
    // What an hour of the mesh costs is set aside for as long as it may take.
    const ms = this.#account.hasMoneyLimit ? Math.min(left, sourceMs) : left
    const { text } = await this.#account.paid(role, { bytes, ms }, async ({ tokens = Number.POSITIVE_INFINITY }) => {
      const own: Used[] = []
      const answer = await think(this.#node, request, {
        model,
        session,
        actor: 'research',
        deadline: this.#node.now() + ms,
        signal: this.#signal,
        trace: this.#options.trace,
        // Whoever breaks off is paid, too: it is asked no more often than what was set aside lasts for.
        again: () => (own.length + 1) * bytes <= tokens,
        onUse: ({ model: asked, zone, usage, seconds }) => {
          const use = { model: asked, zone, usage, seconds, role }
          own.push(use)
          used.push(use)
        },
      })
      return { ...answer, used: own }
    })
    return { text, used }
  }

  #sizeOf(source: string): number {
    return (isUrl(source) ? undefined : this.#asked.sizeOf?.(source)) ?? usualBytes
  }

  get #call(): CallOptions & { deadline: number } {
    return { deadline: this.#deadline, signal: this.#signal, trace: this.#options.trace }
  }

  #say(text: string): void {
    this.#options.progress?.(text)
  }
}

/** What a reader is given: two tools, models of the mesh, and the files. */
const reading = (tokens: number | undefined) => ({
  may: {
    act: { on: ['read_lines', 'http_fetch'] },
    ...thoughts({ tokens, models: ['mesh'] }).may,
    read: { on: ['*'] },
  },
})

/** What goes wrong with all sources and all models alike. */
const endsAll = new Set<ErrorCode>(['BUDGET_SPENT', 'FENCED', 'IN_DOUBT'])

const roleUsed = z.array(usedSchema.extend({ role: z.enum(researchRoles) }))
const planSchema = z.object({ questions: z.array(z.string()), used: roleUsed })
const readSchema = ReadSource.reply.extend({ used: roleUsed })
const writtenSchema = z.object({
  answer: z.string(),
  writer: z.object({ model: z.string(), zone: z.enum(['mesh', 'elsewhere']), reason: z.string() }),
  used: roleUsed,
})

/** Of the models that the mesh serves and that hold a conversation, the largest. Throws UNREACHABLE or MODEL_UNSUITED. */
async function mostCapable(node: MeshNode, name: string | undefined, call: CallOptions): Promise<ModelInfo> {
  const known = await Promise.all(
    modelsOfMesh(node).map(({ node: on, model }) => node.ref(inferenceName(on)).ask(DescribeModel, model, call)),
  )
  const named = known.filter((model) => name === undefined || model.name === name)
  const [best] = named
    .filter(({ tools }) => tools === undefined)
    .sort((a, b) => (b.parameters ?? 0) - (a.parameters ?? 0) || (b.context ?? 0) - (a.context ?? 0))
  if (best) return best
  const [unsuited] = named
  if (unsuited)
    throw new ClawmeshError(
      'MODEL_UNSUITED',
      `${unsuited.name} calls tools and holds no conversation, so it cannot read sources.`,
      {
        hint: 'Run a model server on this machine, or name one or a model folder with --model.',
      },
    )
  throw new ClawmeshError(
    'UNREACHABLE',
    name === undefined ? 'No node in the mesh serves a model.' : `No node in the mesh serves the model "${name}".`,
    {
      hint: 'Start a node with the role inference. Sources are read by models of the mesh alone.',
    },
  )
}
