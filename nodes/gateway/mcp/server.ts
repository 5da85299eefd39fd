/**
 * The mesh as an MCP server, as one caller sees it: what his role may use of what the mesh and its programs offer. Every use is on the audit stream before anything is done, with its
 * outcome after (used.ts); what is then done in a sandbox or a program is recorded there, under the same trace.
 */
import {
  type CallToolResult,
  ProtocolError,
  ProtocolErrorCode,
  ResourceNotFoundError,
  Server,
  type ServerContext,
  type Tool,
} from '@modelcontextprotocol/server'
import { ClawmeshError } from '../../../policies/errors.js'
import { type Ruling, whyRefused } from '../../../policies/people.js'
import { mostText, tooLong } from '../../catalog/content.js'
import { isTemplate, matchTemplate } from '../../catalog/template.js'
import { log } from '../../log.js'
import { productVersion } from '../../version.js'
import {
  findResource,
  type Listed,
  type MeshResource,
  type MeshTool,
  type Result,
  ruleOnRight,
  ruleOnTool,
  type Use,
} from './offered.js'
import type { Reach } from './reach.js'
import { Subscriptions } from './subscriptions.js'
import { type Asking, type Serving, used } from './used.js'

const instructions =
  'Tools, files and tasks of a mesh of agents. Each tool of the mesh runs in a sandbox; one that the policy of its machine does not allow waits for a person, or is refused.'
const listedWithinMs = 5000
const mostValues = 100
/** Characters; as long as a catalog may say one. */
const longestUri = 2000

export interface Connection {
  /** Of the protocol: that of 2025, or that of 2026. */
  era: 'legacy' | 'modern'
  /** It lasts: the client can be told of things that it has not just asked for. */
  lasts: boolean
}

export function mcpServer(serving: Serving, { era, lasts }: Connection): Server {
  const { people } = serving
  const server = new Server(
    { name: 'clawmesh', version: productVersion },
    {
      capabilities: {
        tools: {},
        resources: lasts && era === 'legacy' ? { subscribe: true } : {},
        prompts: {},
        completions: {},
        logging: {},
      },
      instructions,
      inputRequired: { legacyShim: false },
    },
  )
  const can = (what: Reach['can']) => server.getClientCapabilities()?.[what] !== undefined
  const use = <T>(asking: Asking, context: ServerContext, does: (use: Use) => Promise<T>) =>
    used(serving, asking, { context, era, can }, does)
  const may = async (ruling: () => Ruling, what: string): Promise<readonly string[]> => {
    await serving.settled?.()
    const { allowed, by } = ruling()
    if (allowed) return by
    const why = `A key with the role ${serving.principal.role} may not use ${what}: ${whyRefused({ allowed, by })}.`
    serving.refused(why)
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, why)
  }
  const mayRead = ({ right }: MeshResource, places?: Record<string, string>) =>
    ruleOnRight(people(), serving.principal, right(places))
  const found = async (uri: string) => {
    // It stands on the trail, as what anything else is used with does.
    const known = uri.length > longestUri ? undefined : findResource((await serving.offered()).resources, uri)
    if (!known) throw new ResourceNotFoundError(uri.slice(0, 200))
    return { ...known, by: await may(() => mayRead(known.resource, known.places), uri.slice(0, 200)) }
  }

  server.setRequestHandler('tools/list', async () => {
    const { tools } = await serving.offered()
    return { tools: tools.filter((tool) => ruleOnTool(people(), serving.principal, tool).allowed).map(described) }
  })
  server.setRequestHandler('tools/call', async ({ params: { name, arguments: args = {} } }, context) => {
    const tool = (await serving.offered()).tools.find((known) => known.name === name)
    if (!tool) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no tool ${name.slice(0, 128)}.`)
    const by = await may(() => ruleOnTool(people(), serving.principal, tool, args), name)
    try {
      return await use({ what: { tool: name }, by, args }, context, async (at) =>
        resultOf(await tool.run(tool.check(args), at)),
      )
    } catch (error) {
      if (error instanceof ProtocolError) throw error
      return { content: [{ type: 'text', text: wordsOf(error) }], isError: true }
    }
  })

  server.setRequestHandler('resources/list', async (_, context) => {
    const { resources } = await serving.offered()
    const lists = resources.map(async (resource): Promise<readonly Listed[]> => {
      const ruling = mayRead(resource)
      if (!ruling.allowed) return []
      const { uri, name, description, mimeType, list } = resource
      if (!isTemplate(uri)) return [{ uri, name, description, ...(mimeType ? { mimeType } : {}) }]
      if (!list) return []
      const asking = { what: { resource: uri }, by: ruling.by, withinMs: listedWithinMs }
      const listed = await use(asking, context, async (at) => ({
        each: (await list(at)).filter((one) => mayRead(resource, matchTemplate(uri, one.uri)).allowed),
      })).catch(() => undefined)
      return listed && 'each' in listed ? (listed.each as Listed[]) : []
    })
    return { resources: (await Promise.all(lists)).flat().map((one) => ({ ...one })) }
  })
  server.setRequestHandler('resources/templates/list', async () => {
    const { resources } = await serving.offered()
    const templates = resources.filter((resource) => isTemplate(resource.uri) && mayRead(resource).allowed)
    return {
      resourceTemplates: templates.map(({ uri, name, description, mimeType }) => ({
        uriTemplate: uri,
        name,
        description,
        ...(mimeType ? { mimeType } : {}),
      })),
    }
  })
  server.setRequestHandler('resources/read', async ({ params: { uri } }, context) => {
    const { resource, places, by } = await found(uri)
    return asProtocol(() =>
      use({ what: { resource: uri }, by }, context, async (at) => ({ contents: await resource.read(uri, places, at) })),
    )
  })

  const subscriptions = new Subscriptions()
  if (lasts && era === 'legacy') {
    server.onclose = () => subscriptions.end()
    server.setRequestHandler('resources/subscribe', async ({ params: { uri } }, context) => {
      const { resource, places, by } = await found(uri)
      const asking = { what: { resource: uri }, by, args: { follows: true } }
      await asProtocol(() =>
        use(asking, context, async () => {
          const { changes } = resource
          // One that never says that it is another is followed in vain, and no harm done.
          if (!changes) return {}
          subscriptions.add(
            uri,
            (signal) => changes(places, signal),
            async () => {
              if (mayRead(resource, places).allowed) return server.sendResourceUpdated({ uri })
              throw new ClawmeshError(
                'DENIED',
                `A key with the role ${serving.principal.role} may not read ${uri} any more.`,
              )
            },
          )
          return {}
        }),
      )
      return {}
    })
    server.setRequestHandler('resources/unsubscribe', ({ params: { uri } }) => {
      subscriptions.remove(uri)
      return {}
    })
  }

  server.setRequestHandler('prompts/list', async () => {
    const { prompts } = await serving.offered()
    return {
      prompts: prompts
        .filter(({ right }) => ruleOnRight(people(), serving.principal, right).allowed)
        .map(({ name, description, args }) => ({
          name,
          description,
          arguments: args.map(({ optional, ...argument }) => ({ ...argument, required: !optional })),
        })),
    }
  })
  server.setRequestHandler('prompts/get', async ({ params: { name, arguments: args = {} } }, context) => {
    const prompt = (await serving.offered()).prompts.find((known) => known.name === name)
    if (!prompt) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no prompt ${name.slice(0, 128)}.`)
    const by = await may(() => ruleOnRight(people(), serving.principal, prompt.right), name)
    return asProtocol(() =>
      use({ what: { prompt: name }, by, args }, context, async (at) => ({ messages: await prompt.say(args, at) })),
    )
  })

  server.setRequestHandler('completion/complete', async ({ params: { ref, argument } }, context) => {
    const offered = await serving.offered()
    const prompt = ref.type === 'ref/prompt' ? offered.prompts.find(({ name }) => name === ref.name) : undefined
    const resource = ref.type === 'ref/resource' ? offered.resources.find(({ uri }) => uri === ref.uri) : undefined
    const right = prompt?.right ?? resource?.right()
    const name = prompt?.name ?? resource?.uri
    if (!right || name === undefined)
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'There is no such prompt or template.')
    const by = await may(() => ruleOnRight(people(), serving.principal, right), name)
    const asking = { what: prompt ? { prompt: name } : { resource: name }, by, args: { completes: argument } }
    // Of what he may not read he is not told that it is there.
    const mayHear = (value: string) => !resource || mayRead(resource, { [argument.name]: value }).allowed
    const values = await asProtocol(() =>
      use({ ...asking, withinMs: listedWithinMs }, context, async (at) => ({
        each: ((await (prompt ?? resource)?.complete?.(argument.name, argument.value, at)) ?? []).filter(mayHear),
      })),
    )
    const each = 'each' in values ? (values.each as string[]) : []
    return {
      completion: { values: each.slice(0, mostValues), total: each.length, hasMore: each.length > mostValues },
    }
  })
  return server
}

function described({ name, description, schema, readOnly, reachesOut = false }: MeshTool): Tool {
  return {
    name,
    description,
    inputSchema: schema as Tool['inputSchema'],
    annotations: { readOnlyHint: readOnly, openWorldHint: reachesOut },
  }
}

function resultOf({ text = '', facts, content }: Result): CallToolResult {
  if (!content) return { content: [{ type: 'text', text: bounded(text, facts) }], ...structured(facts) }
  const misfit = tooLong(content)
  if (misfit !== undefined) throw new ClawmeshError('TASK_FAILED', `What it brought cannot be shown: ${misfit}.`)
  return { content: content.map((part) => ({ ...part })) as CallToolResult['content'], ...structured(facts) }
}

/** What nobody foresaw may name files and hosts: that is for the log of this machine alone. */
function wordsOf(error: unknown): string {
  const { code, message, hint } = ClawmeshError.from(error)
  if (code !== 'INTERNAL') return `${message} ${hint}`.trim()
  log.error({ err: error }, 'what an MCP client asked for failed')
  return 'The mesh failed. Its own log says why.'
}

async function asProtocol<T>(does: () => Promise<T>): Promise<T> {
  try {
    return await does()
  } catch (error) {
    if (error instanceof ProtocolError) throw error
    const { code } = ClawmeshError.from(error)
    const isTheirs = code !== 'INTERNAL' && code !== 'UNREACHABLE' && code !== 'DEADLINE'
    throw new ProtocolError(
      isTheirs ? ProtocolErrorCode.InvalidParams : ProtocolErrorCode.InternalError,
      wordsOf(error),
    )
  }
}

/** A client that knows no structured content has the same in the text. */
function bounded(text: string, facts: Record<string, unknown> | undefined): string {
  const whole = facts === undefined ? text : JSON.stringify(facts)
  return whole.length <= mostText
    ? whole
    : `${whole.slice(0, mostText)}\n[${whole.length - mostText} more characters are left out]`
}

const structured = (facts: Record<string, unknown> | undefined): Pick<CallToolResult, 'structuredContent'> =>
  facts === undefined || JSON.stringify(facts).length > mostText ? {} : { structuredContent: facts }
