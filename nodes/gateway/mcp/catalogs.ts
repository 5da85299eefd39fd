/**
 * The catalogs of the mesh's programs, as MCP clients are offered them. A program is found by the name of its actor and must run on a node with the role supervisor; what it says of
 * itself is kept for a moment, so that a client that lists and calls does not ask it each time.
 *
 * A name that the mesh itself has, or a catalog whose name comes earlier, is not given to a second one.
 */
import type { MeshNode } from '../../../mesh/index.js'
import {
  CallTool,
  CompleteArgument,
  catalogPrefix,
  DescribeCatalog,
  type Description,
  FollowResource,
  ReadResource,
  SayPrompt,
} from '../../catalog/messages.js'
import { log } from '../../log.js'
import type { Desk } from './desk.js'
import type { MeshPrompt, MeshResource, MeshTool, Offered, Right, Use } from './offered.js'

const describedWithinMs = 5000
const keptMs = 1000
/** One that does not answer holds nobody up more often than that. */
const silentMs = 5000
/** Of catalogs; of those beyond it, none is offered. */
const most = 64

interface Kept {
  until: number
  /** What it said last, if ever. */
  known: Description | undefined
  description: Promise<Description | undefined>
}

export class Catalogs {
  readonly #node: MeshNode
  readonly #desk: Desk
  readonly #kept = new Map<string, Kept>()

  constructor(node: MeshNode, desk: Desk) {
    this.#node = node
    this.#desk = desk
  }

  /** With what the mesh itself has. */
  async beside(own: Offered): Promise<Offered> {
    const tools = new Map(own.tools.map((tool) => [tool.name, tool]))
    const resources = new Map(own.resources.map((resource) => [resource.uri, resource]))
    const prompts = new Map(own.prompts.map((prompt) => [prompt.name, prompt]))
    for (const { name, node, description } of await this.#all()) {
      const program: Program = { node: this.#node, desk: this.#desk, actor: name, place: node }
      for (const tool of description.tools) addTo(tools, tool.name, () => toolOf(program, tool))
      for (const resource of description.resources) addTo(resources, resource.uri, () => resourceOf(program, resource))
      for (const prompt of description.prompts) addTo(prompts, prompt.name, () => promptOf(program, prompt))
    }
    return { tools: [...tools.values()], resources: [...resources.values()], prompts: [...prompts.values()] }
  }

  async #all(): Promise<{ name: string; node: string; description: Description }[]> {
    const { directory } = this.#node
    // Any node may call an actor so: those that may not have a catalog take no place of those that may.
    const may = (name: string) => directory.locate(name)?.certificate.roles.includes('supervisor')
    const found = directory
      .actors()
      .filter(({ name }) => name.startsWith(catalogPrefix) && may(name))
      .sort((one, other) => (one.name < other.name ? -1 : 1))
      .slice(0, most)
    for (const name of this.#kept.keys()) if (!found.some((each) => each.name === name)) this.#kept.delete(name)
    const described = found.map(async ({ name, node }) => ({ name, node, description: await this.#describe(name) }))
    return (await Promise.all(described)).flatMap(({ description, ...rest }) =>
      description ? [{ ...rest, description }] : [],
    )
  }

  #describe(name: string): Promise<Description | undefined> {
    const kept = this.#kept.get(name)
    if (kept && performance.now() < kept.until) return kept.description
    const next: Kept = {
      known: kept?.known,
      until: performance.now() + describedWithinMs + keptMs,
      description: this.#node
        .ref(name)
        .ask(DescribeCatalog, null, { timeoutMs: describedWithinMs })
        .then(
          (description) => {
            next.until = performance.now() + keptMs
            next.known = description
            return description
          },
          (error: unknown) => {
            // One that does not answer hides nothing of the others, and is offered as it was: whoever uses it is told that it does not answer.
            log.warn({ err: error, catalog: name }, 'a catalog does not say what it has')
            next.until = performance.now() + silentMs
            return next.known
          },
        ),
    }
    this.#kept.set(name, next)
    return next.description
  }
}

function addTo<T>(known: Map<string, T>, name: string, make: () => T): void {
  if (!known.has(name)) known.set(name, make())
}

interface Program {
  readonly node: MeshNode
  readonly desk: Desk
  /** Of its actor, and where that runs. */
  readonly actor: string
  readonly place: string
}

/** Under which policies of people speak of the resources and prompts of a catalog: as of a tool by the name of its actor. */
const rightOf = ({ actor }: Program): Right => ({ needs: 'useTool', on: { type: 'Tool', id: actor } })

const askOf = ({ node, desk, actor, place }: Program) => ({
  /** Asked as of one caller, who can be asked back. */
  within: <T>(
    use: Use,
    does: (ref: ReturnType<MeshNode['ref']>, caller: { by: string; desk: string; use: string }) => Promise<T>,
  ) => desk.open(use, place, (name, number) => does(node.ref(actor), { by: use.by, desk: name, use: number })),
  ref: () => node.ref(actor),
})

const optionsOf = ({ signal, deadline, trace }: Use) => ({ signal, deadline, trace })

function toolOf(
  program: Program,
  { name, description, schema, readOnly, sandboxed }: Description['tools'][number],
): MeshTool {
  return {
    name,
    description,
    schema,
    needs: 'useTool',
    readOnly,
    reachesOut: !sandboxed,
    // The program reads them through its own schema: it is the one that knows it.
    check: (args) => args,
    run: (args, use) =>
      askOf(program).within(use, (ref, caller) => ref.ask(CallTool, { ...caller, tool: name, args }, optionsOf(use))),
  }
}

function resourceOf(program: Program, resource: Description['resources'][number]): MeshResource {
  const { uri, name, description, mimeType, changes } = resource
  const { within, ref } = askOf(program)
  return {
    uri,
    name,
    description,
    mimeType,
    right: () => rightOf(program),
    read: async (address, places, use) => {
      const asked = { resource: uri, places: { ...places }, uri: address }
      const { contents } = await within(use, (at, caller) =>
        at.ask(ReadResource, { ...caller, ...asked }, optionsOf(use)),
      )
      return contents
    },
    complete: async (argument, typed, use) =>
      (await ref().ask(CompleteArgument, { of: 'resource', name: uri, argument, typed }, optionsOf(use))).values,
    ...(changes
      ? {
          changes: (places: Readonly<Record<string, string>>, signal: AbortSignal) =>
            ref().stream(FollowResource, { resource: uri, places: { ...places } }, { signal, timeoutMs: dayMs }),
        }
      : {}),
  }
}

/** A client that follows for longer asks again. */
const dayMs = 86_400_000

function promptOf(program: Program, { name, description, args }: Description['prompts'][number]): MeshPrompt {
  const { within, ref } = askOf(program)
  return {
    name,
    description,
    args,
    right: rightOf(program),
    say: async (given, use) => {
      const asked = { prompt: name, args: given }
      return (await within(use, (at, caller) => at.ask(SayPrompt, { ...caller, ...asked }, optionsOf(use)))).messages
    },
    complete: async (argument, typed, use) =>
      (await ref().ask(CompleteArgument, { of: 'prompt', name, argument, typed }, optionsOf(use))).values,
  }
}
