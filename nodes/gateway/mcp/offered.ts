/** What MCP clients may be offered, whoever has it: the mesh itself (mesh-tool.ts, mesh-resource.ts) or a program of it (catalogs.ts). */
import { z } from 'zod'
import { ClawmeshError } from '../../../policies/errors.js'
import {
  mesh,
  type People,
  type PeopleAction,
  type Person,
  type Resource,
  type Ruling,
} from '../../../policies/people.js'
import type { Label } from '../../../policies/router-label.js'
import type { Content, Elicit, Elicited, Held, Level, Said, Sample, Sampled } from '../../catalog/content.js'
import { isTemplate, matchTemplate } from '../../catalog/template.js'
import type { DataSubject } from '../../data-subject.js'

/** One use of anything of this. */
export interface Use {
  readonly signal: AbortSignal
  readonly deadline: number
  readonly trace: string
  /** The name of the caller's key. */
  readonly by: string
  /** Whom it is about. */
  readonly subject: DataSubject | undefined
  /** Tells a caller who wants to know it how far it is; `of`: of how much in all, where that is known. */
  readonly progress?: ((done: number, of: number | undefined, words: string | undefined) => Promise<void>) | undefined
  log(level: Level, data: unknown): Promise<void>
  elicit(question: Elicit): Promise<Elicited>
  sample(question: Sample): Promise<Sampled>
}

export interface Result {
  /** In words. */
  readonly text?: string
  /** The same for programs. */
  readonly facts?: Record<string, unknown> | undefined
  /** Instead of the words: parts of any kind. */
  readonly content?: readonly Content[]
}

export interface MeshTool {
  readonly name: string
  readonly description: string
  /** Of its arguments, JSON Schema. */
  readonly schema: Readonly<Record<string, unknown>>
  /** What `policies/people.cedar` must let one do. */
  readonly needs: PeopleAction
  /** It changes nothing. */
  readonly readOnly: boolean
  /** It may do more than the policies of the mesh's sandboxes let it: it runs in a program of somebody's own. */
  readonly reachesOut?: boolean
  /** Of the files that it is about with these arguments, where the rules of the router give them one. */
  label?(args: Record<string, unknown>): Label | undefined
  /** Throws MESSAGE_INVALID for arguments that do not fit. */
  check(args: Record<string, unknown>): Record<string, unknown>
  /** Takes what `check` gave. What it throws, the caller is told. */
  run(args: Record<string, unknown>, use: Use): Promise<Result>
}

/** What one must be allowed, and on what. */
export interface Right {
  readonly needs: PeopleAction
  readonly on: Resource
  /** Of what it is about, where it has one. */
  readonly label?: Label | undefined
}

export interface Listed {
  readonly uri: string
  readonly name: string
  readonly description?: string
  readonly mimeType?: string
}

type Places = Readonly<Record<string, string>>

export interface MeshResource {
  /** An address, or a template for many. */
  readonly uri: string
  readonly name: string
  readonly description: string
  readonly mimeType?: string | undefined
  /** Without places: in principle. */
  right(places?: Places): Right
  read(uri: string, places: Places, use: Use): Promise<Held[]>
  /** What there is of a template, as far as it can be told. */
  list?(use: Use): Promise<Listed[]>
  complete?(place: string, typed: string, use: Use): Promise<string[]>
  /** An item for each time that it is another. */
  changes?(places: Places, signal: AbortSignal): AsyncIterable<unknown>
}

export interface MeshPrompt {
  readonly name: string
  readonly description: string
  readonly args: readonly { readonly name: string; readonly description: string; readonly optional: boolean }[]
  readonly right: Right
  say(args: Record<string, string>, use: Use): Promise<Said[]>
  complete(argument: string, typed: string, use: Use): Promise<string[]>
}

export interface Offered {
  readonly tools: readonly MeshTool[]
  readonly resources: readonly MeshResource[]
  readonly prompts: readonly MeshPrompt[]
}

export const ruleOnRight = (people: People, who: Person, { needs, on, label }: Right): Ruling =>
  people.decide(who, needs, on, label)

/** Whether somebody may use a tool: with these arguments or, where none are given, in principle. */
export function ruleOnTool(
  people: People,
  who: Person,
  tool: Pick<MeshTool, 'name' | 'needs' | 'label'>,
  args?: Record<string, unknown>,
): Ruling {
  const { name, needs } = tool
  return people.decide(who, needs, resourceOf(name, needs, args ?? {}), args && tool.label?.(args))
}

const ofTask: readonly PeopleAction[] = ['readTasks', 'cancelTask']

function resourceOf(name: string, needs: PeopleAction, { id }: Record<string, unknown>): Resource {
  if (needs === 'useTool') return { type: 'Tool', id: name }
  return ofTask.includes(needs) && typeof id === 'string' ? { type: 'Task', id } : mesh
}

/** The resource that has this address, and what stands in its places. One with no places comes before a template. */
export function findResource(
  resources: readonly MeshResource[],
  uri: string,
): { resource: MeshResource; places: Record<string, string> } | undefined {
  const fixed = resources.find((each) => each.uri === uri && !isTemplate(uri))
  if (fixed) return { resource: fixed, places: {} }
  for (const resource of resources) {
    const places = isTemplate(resource.uri) ? matchTemplate(resource.uri, uri) : undefined
    if (places) return { resource, places }
  }
  return undefined
}

interface Definition<A extends z.ZodObject> extends Omit<MeshTool, 'schema' | 'check' | 'run'> {
  args: A
  run(args: z.output<A>, use: Use): Promise<Result>
}

export const meshTool = <A extends z.ZodObject>({ args, run, ...definition }: Definition<A>): MeshTool => ({
  ...definition,
  schema: z.toJSONSchema(args, { io: 'input' }),
  check: (given) => {
    const parsed = args.safeParse(given)
    if (parsed.success) return parsed.data
    throw new ClawmeshError('MESSAGE_INVALID', z.prettifyError(parsed.error))
  },
  run: (given, use) => run(given as z.output<A>, use),
})
