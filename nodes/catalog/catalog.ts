/**
 * What a program of the mesh has for MCP clients: tools, resources and prompts. `serveCatalog` (host.ts) puts it before the clients of every gateway of the mesh.
 *
 *     await serveCatalog(node, {
 *       name: 'library',
 *       tools: [
 *         catalogTool({
 *           name: 'lend',
 *           description: 'Lends a book to the person who asks.',
 *           args: z.object({ title: z.string() }),
 *           run: async ({ title }, caller) => {
 *             const { action } = await caller.elicit({ message: `Lend ${title}?`, form: { type: 'object', properties: {} } })
 *             return action === 'accept' ? `${title} is yours until Monday.` : 'It stays here.'
 *           },
 *         }),
 *       ],
 *       resources: [{ uri: 'library://book/{title}', name: 'book', description: 'A book.', read: ({ title = '' }) => textOf(title) }],
 *       prompts: [{ name: 'review', description: 'A review.', args: { title: { description: 'of which book' } }, say: ({ title }) => `Review ${title}.` }],
 *     })
 */
import { z } from 'zod'
import { ClawmeshError } from '../../policies/errors.js'
import type { FunctionTool } from '../agents/agent/tool.js'
import type { Content, Elicit, Elicited, Held, Level, Said, Sample, Sampled } from './content.js'
import { checkUri, isTemplate, placesOf } from './template.js'

/** The MCP client that something is done for, and the person at it. */
export interface Caller {
  /** The name of its key at the gateway. */
  readonly by: string
  readonly trace: string
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal
  /** How far it is; `of`: of how much in all, where that is known. Told to a client that asked to be. */
  progress(done: number, of?: number, words?: string): void
  /** A line for the client's log, where it wants lines of that level. */
  log(level: Level, data: unknown): void
  /** Asks the person. Rejects where the client cannot ask, or is gone. */
  elicit(question: Elicit): Promise<Elicited>
  /** Asks the client's model: what is asked leaves the mesh, so the privacy router judges it first. Rejects where it may not, or the client has no model. */
  sample(question: Sample): Promise<Sampled>
}

/** What a tool gives: words, or parts of any kind. */
export type Given = string | readonly Content[]

export interface CatalogTool {
  readonly kind: 'catalog'
  readonly name: string
  readonly description: string
  /** Of its arguments, JSON Schema. */
  readonly schema: Readonly<Record<string, unknown>>
  readonly readOnly: boolean
  /** Throws MESSAGE_INVALID for arguments that its schema does not take. */
  run(args: unknown, caller: Caller): Promise<Given>
}

/** A tool that runs in this program, with all that it may do; `ownTool` makes one that runs in a sandbox. */
export function catalogTool<A extends z.ZodObject>(definition: {
  name: string
  description: string
  args: A
  /** It changes nothing; false if left out. */
  readOnly?: boolean
  run: (args: z.output<A>, caller: Caller) => Given | Promise<Given>
}): CatalogTool {
  const { name, description, args, readOnly = false, run } = definition
  return {
    kind: 'catalog',
    name,
    description,
    schema: z.toJSONSchema(args, { io: 'input' }),
    readOnly,
    run: async (given, caller) => {
      const parsed = args.safeParse(given)
      if (!parsed.success) throw new ClawmeshError('MESSAGE_INVALID', `${name}: ${z.prettifyError(parsed.error)}`)
      return run(parsed.data, caller)
    },
  }
}

/** Values that begin with what was typed, best first. */
export type Complete = (typed: string) => readonly string[] | Promise<readonly string[]>

export interface CatalogResource {
  /** An address, or with places a template for many: `notes://day/{day}`. */
  uri: string
  name: string
  description: string
  mimeType?: string
  /** Takes what stands in the places. A text, or bytes. Throws NOT_FOUND for what is not there. */
  read(places: Record<string, string>, caller: Caller): Read | Promise<Read>
  /** By place. */
  complete?: Readonly<Record<string, Complete>>
  /** One item for each time that it is another. Without it nobody is told. */
  changes?(places: Record<string, string>, signal: AbortSignal): AsyncIterable<unknown>
}
export type Read = string | Uint8Array | readonly Held[]

export interface CatalogPrompt {
  name: string
  description: string
  args?: Readonly<Record<string, PromptArgument>>
  /** The words of a person, or messages of both sides. */
  say(args: Record<string, string>, caller: Caller): string | readonly Said[] | Promise<string | readonly Said[]>
}
export interface PromptArgument {
  description: string
  /** False if left out. */
  optional?: boolean
  complete?: Complete
}

export interface Catalog {
  /** Its actor is `catalog/NAME`. */
  name: string
  tools?: readonly (CatalogTool | FunctionTool)[]
  resources?: readonly CatalogResource[]
  prompts?: readonly CatalogPrompt[]
}

const nameForm = /^[a-z][a-z0-9-]{0,31}$/
/** As MCP says it of names of tools. */
const entryForm = /^[A-Za-z0-9_.-]{1,64}$/
const mostEntries = 128

export const toolNameOf = (tool: CatalogTool | FunctionTool): string =>
  tool.kind === 'catalog' ? tool.name : tool.spec.name

/** Throws USAGE for what cannot be meant. */
export function checkCatalog({ name, tools = [], resources = [], prompts = [] }: Catalog): void {
  const wrong = (why: string) =>
    new ClawmeshError('USAGE', `The catalog ${name} cannot be served: ${why}.`, { hint: 'docs/mcp.md shows one.' })
  if (!nameForm.test(name)) throw wrong('its name is small letters, digits and hyphens, 32 at most')
  for (const names of [tools.map(toolNameOf), prompts.map((prompt) => prompt.name)]) {
    const odd = names.find((each) => !entryForm.test(each))
    if (odd !== undefined) throw wrong(`"${odd}" is no name`)
  }
  for (const [what, names] of Object.entries({
    tools: tools.map(toolNameOf),
    resources: resources.map(({ uri }) => uri),
    prompts: prompts.map((prompt) => prompt.name),
  })) {
    if (names.length > mostEntries) throw wrong(`it has ${names.length} ${what}; ${mostEntries} is the most`)
    const twice = names.find((each, index) => names.indexOf(each) !== index)
    if (twice !== undefined) throw wrong(`two of its ${what} are called ${twice}`)
  }
  for (const { uri, complete = {} } of resources) {
    checkUri(uri)
    if (/^clawmesh:/i.test(uri)) throw wrong(`addresses that begin with clawmesh: are the mesh's own`)
    const stray = Object.keys(complete).find((place) => !isTemplate(uri) || !placesOf(uri).includes(place))
    if (stray !== undefined) throw wrong(`${uri} has no place ${stray}`)
  }
}
