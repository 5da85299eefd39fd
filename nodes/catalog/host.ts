/**
 * The actor that answers for a catalog, in the program that has it.
 *
 * 1. A tool that runs here is on the audit stream before it runs; one in a sandbox is there, under the same trace.
 * 2. Whatever was told while it ran is with the gateway before the answer is: a client hears nothing of an answer that it has.
 * 3. What it throws is told in its own words where it is a ClawmeshError. Anything else is told as a failure, and the actor lives on: the next caller has done nothing wrong.
 */

import { z } from 'zod'
import { type ActorRef, actor, type Context, type MeshNode, on, type Self } from '../../mesh/index.js'
import { ClawmeshError } from '../../policies/errors.js'
import type { GeneralToolName } from '../../sandbox/index.js'
import { type Workspace, workspaceId } from '../../sandbox/workspace.js'
import { act } from '../agents/act.js'
import { givenBy } from '../agents/agent/own-tool.js'
import type { FunctionTool } from '../agents/agent/tool.js'
import { log } from '../log.js'
import { type Caller, type Catalog, type Complete, checkCatalog, type Given, toolNameOf } from './catalog.js'
import { type Content, contentSchema, type Held, heldSchema, saidSchema, tooLong } from './content.js'
import {
  CallTool,
  CompleteArgument,
  catalogName,
  DescribeCatalog,
  type Description,
  ElicitCaller,
  FollowResource,
  ReadResource,
  SampleCaller,
  SayPrompt,
  TellCaller,
  type Told,
} from './messages.js'

/** Uses and followers at once; the next one waits. */
const usesAtOnce = 128
/** So that whoever follows much keeps nobody from using anything. */
const followersAtOnce = 96
const mostValues = 100

export interface CatalogOptions {
  /** The files of this machine that its tools in sandboxes are about. Left out: as `act` has it, so where the mesh has several that differ and this node none, such a tool is refused. */
  workspace?: Workspace | undefined
}

/** Puts it before the MCP clients of every gateway of the mesh, for as long as this node is there. The node has the role supervisor. Throws USAGE and DENIED. */
export async function serveCatalog(
  node: MeshNode,
  catalog: Catalog,
  { workspace }: CatalogOptions = {},
): Promise<ActorRef> {
  checkCatalog(catalog)
  if (!node.roles.includes('supervisor'))
    throw new ClawmeshError('DENIED', `The node ${node.name} may not put a catalog before MCP clients.`, {
      hint: 'It takes the role supervisor: clawmesh invite --roles supervisor.',
    })
  const definition = actor('catalog', (self) => handlersOf(new Host(node, catalog, workspace, self)), {
    args: z.undefined(),
    concurrency: usesAtOnce,
  })
  return node.spawn(definition, { as: catalogName(catalog.name) })
}

const handlersOf = (host: Host) => [
  on(DescribeCatalog, () => host.describe()),
  on(CallTool, (asked, context) => host.call(asked, context)),
  on(ReadResource, (asked, context) => host.read(asked, context)),
  on(SayPrompt, (asked, context) => host.say(asked, context)),
  on(CompleteArgument, (asked) => host.complete(asked)),
  on(FollowResource, (asked, context) => host.follow(asked, context)),
]

type Asked = { by: string; desk: string; use: string }

class Host {
  readonly #node: MeshNode
  readonly #catalog: Catalog
  readonly #workspace: Workspace | undefined
  readonly #self: Self
  #followers = 0

  constructor(node: MeshNode, catalog: Catalog, workspace: Workspace | undefined, self: Self) {
    this.#node = node
    this.#catalog = catalog
    this.#workspace = workspace
    this.#self = self
  }

  describe(): Description {
    const { tools = [], resources = [], prompts = [] } = this.#catalog
    return {
      tools: tools.map((tool) =>
        tool.kind === 'catalog'
          ? { ...picked(tool), schema: { ...tool.schema }, readOnly: tool.readOnly, sandboxed: false }
          : { ...picked(tool.spec), schema: { ...tool.spec.parameters }, readOnly: false, sandboxed: true },
      ),
      resources: resources.map((resource) => {
        const { uri, mimeType, changes } = resource
        return { ...picked(resource), uri, ...(mimeType ? { mimeType } : {}), changes: changes !== undefined }
      }),
      prompts: prompts.map((prompt) => ({
        ...picked(prompt),
        args: Object.entries(prompt.args ?? {}).map(([name, { description, optional = false }]) => ({
          name,
          description,
          optional,
        })),
      })),
    }
  }

  async call(asked: Asked & { tool: string; args: Record<string, unknown> }, context: Context) {
    const tool = this.#find('tool', asked.tool, this.#catalog.tools, toolNameOf)
    const { args } = asked
    if (tool.kind === 'function') {
      try {
        return await this.#inSandbox(tool, args, context)
      } catch (error) {
        throw this.#failure(asked.tool, error)
      }
    }
    const record = { trace: context.trace, actor: this.#self.name }
    const facts = { tool: `${this.#self.name}/${asked.tool}`, args, by: asked.by, runs: 'in-process' }
    await this.#node.audit.intend({ kind: 'action.intended', ...record, facts })
    const ended = (status: string, more: object) =>
      this.#node.audit.record({ kind: 'action.ended', ...record, facts: { ...facts, outcome: { status, ...more } } })
    try {
      const given = await this.#told(asked, context, (caller) => tool.run(args, caller))
      const content = checked(contentsSchema, partsOf(given))
      const misfit = tooLong(content)
      if (misfit !== undefined) throw failed(asked.tool, misfit)
      await ended('done', { parts: content.map(({ type }) => type) })
      return { content }
    } catch (error) {
      const failure = context.signal.aborted
        ? ClawmeshError.from(context.signal.reason)
        : this.#failure(asked.tool, error)
      await ended('failed', { reason: failure.message })
      throw failure
    }
  }

  /** On the files that the catalog is about, under the policy of the machine that has them, and recorded there. */
  async #inSandbox(tool: FunctionTool, args: Record<string, unknown>, context: Context) {
    const { signal, trace, deadline } = context
    const name = 'node' satisfies GeneralToolName
    // Looked at each time: another folder may have taken the place of that one.
    const about = this.#workspace && { workspace: workspaceId(this.#workspace) }
    const call = { name, arguments: tool.program(args, `${this.#self.name}/${tool.spec.name}`) }
    const { node, outcome } = await act(this.#node, call, { signal, trace, deadline }, about)
    if (outcome.status !== 'done')
      throw new ClawmeshError('TASK_FAILED', `${outcome.status} on ${node}: ${outcome.reason}`)
    const given = givenBy(outcome.result)
    if ('why' in given) throw failed(tool.spec.name, given.why)
    const content = partsOf(typeof given.value === 'string' ? given.value : JSON.stringify(given.value))
    return { content, facts: { result: given.value, node } }
  }

  async read(
    asked: Asked & { resource: string; places: Record<string, string>; uri: string },
    context: Context,
  ): Promise<{ contents: Held[] }> {
    const resource = this.#find('resource', asked.resource, this.#catalog.resources, ({ uri }) => uri)
    const { uri } = asked
    const type = resource.mimeType === undefined ? {} : { mimeType: resource.mimeType }
    try {
      const given = await this.#told(asked, context, (caller) => resource.read(asked.places, caller))
      const contents =
        typeof given === 'string'
          ? [{ uri, ...type, text: given }]
          : given instanceof Uint8Array
            ? [{ uri, ...type, blob: Buffer.from(given).toString('base64') }]
            : [...given]
      const read = checked(heldsSchema, contents)
      const misfit = tooLong(read.map((held) => ({ type: 'resource', resource: held })))
      if (misfit !== undefined) throw failed(uri, misfit)
      return { contents: read }
    } catch (error) {
      throw this.#failure(uri, error)
    }
  }

  async say(asked: Asked & { prompt: string; args: Record<string, string> }, context: Context) {
    const prompt = this.#find('prompt', asked.prompt, this.#catalog.prompts, ({ name }) => name)
    const missing = Object.entries(prompt.args ?? {}).find(
      ([name, { optional }]) => !optional && !Object.hasOwn(asked.args, name),
    )
    if (missing) throw new ClawmeshError('MESSAGE_INVALID', `The prompt ${asked.prompt} needs ${missing[0]}.`)
    try {
      const given = await this.#told(asked, context, (caller) => prompt.say(asked.args, caller))
      const messages =
        typeof given === 'string'
          ? [{ role: 'user' as const, content: { type: 'text' as const, text: given } }]
          : [...given]
      const read = checked(saidsSchema, messages)
      const misfit = tooLong(read.map(({ content }) => content))
      if (misfit !== undefined) throw failed(asked.prompt, misfit)
      return { messages: read }
    } catch (error) {
      throw this.#failure(asked.prompt, error)
    }
  }

  async complete(asked: { of: 'prompt' | 'resource'; name: string; argument: string; typed: string }) {
    const { prompts = [], resources = [] } = this.#catalog
    const of: Complete | undefined =
      asked.of === 'prompt'
        ? own(prompts.find(({ name }) => name === asked.name)?.args, asked.argument)?.complete
        : own(resources.find(({ uri }) => uri === asked.name)?.complete, asked.argument)
    try {
      return { values: of ? checked(valuesSchema, await of(asked.typed)).slice(0, mostValues) : [] }
    } catch (error) {
      throw this.#failure(asked.name, error)
    }
  }

  async *follow({ resource: uri, places }: { resource: string; places: Record<string, string> }, context: Context) {
    const resource = this.#find('resource', uri, this.#catalog.resources, (each) => each.uri)
    if (this.#followers >= followersAtOnce)
      throw new ClawmeshError('RATE_LIMITED', `The catalog ${this.#catalog.name} is followed by as many as it can be.`)
    this.#followers += 1
    try {
      for await (const _ of resource.changes?.(places, context.signal) ?? []) yield null
    } catch (error) {
      context.signal.throwIfAborted()
      throw this.#failure(uri, error)
    } finally {
      this.#followers -= 1
    }
  }

  /** Does it with a caller that can be asked, and waits until the caller has heard what it was told. */
  async #told<T>({ by, desk, use }: Asked, context: Context, does: (caller: Caller) => T | Promise<T>): Promise<T> {
    const { trace, signal, deadline } = context
    const options = { trace, signal, deadline }
    const at = this.#node.ref(desk)
    let told: Promise<unknown> = Promise.resolve()
    // One after the other, in their order. What cannot be told is not missed: the answer follows.
    const tell = (what: Told) => {
      told = told.then(() => at.ask(TellCaller, { use, told: what }, options)).catch(() => undefined)
    }
    const caller: Caller = {
      by,
      trace,
      signal,
      progress: (done, of, words) =>
        tell({
          type: 'progress',
          done,
          ...(of === undefined ? {} : { of }),
          ...(words === undefined ? {} : { words }),
        }),
      log: (level, data) => tell({ type: 'log', level, data }),
      elicit: (question) => told.then(() => at.ask(ElicitCaller, { use, question }, options)),
      sample: (question) => told.then(() => at.ask(SampleCaller, { use, question }, options)),
    }
    try {
      return await does(caller)
    } finally {
      await told
    }
  }

  /** What nobody foresaw may name files and hosts: it is for the program's own log, and the client is told that it failed. */
  #failure(what: string, error: unknown): ClawmeshError {
    if (error instanceof ClawmeshError) return error
    log.error({ err: error, catalog: this.#catalog.name }, `${what} failed`)
    return failed(what, 'the program that has it says why in its log')
  }

  #find<T>(what: string, name: string, among: readonly T[] = [], nameOf: (one: T) => string): T {
    const found = among.find((one) => nameOf(one) === name)
    if (found) return found
    throw new ClawmeshError('NOT_FOUND', `The catalog ${this.#catalog.name} has no ${what} ${name}.`)
  }
}

const contentsSchema = z.array(contentSchema)
const heldsSchema = z.array(heldSchema)
const saidsSchema = z.array(saidSchema)
const valuesSchema = z.array(z.string())

/** A program in plain JavaScript may give anything. Throws TASK_FAILED. */
function checked<S extends z.ZodType>(schema: S, given: unknown): z.output<S> {
  const read = schema.safeParse(given)
  if (read.success) return read.data
  throw new ClawmeshError('TASK_FAILED', `What the program gives cannot be used: ${z.prettifyError(read.error)}`)
}

const own = <T>(record: Readonly<Record<string, T>> | undefined, name: string): T | undefined =>
  record && Object.hasOwn(record, name) ? record[name] : undefined

const picked = ({ name, description }: { name: string; description: string }) => ({ name, description })

const partsOf = (given: Given): Content[] => (typeof given === 'string' ? [{ type: 'text', text: given }] : [...given])

const failed = (what: string, why: string) => new ClawmeshError('TASK_FAILED', `${what} failed: ${why}.`)
