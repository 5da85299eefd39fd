/** One MCP server that runs: its tools, and calls of them. Every failure is a ClawmeshError that says whose it is. */
import {
  type CallToolResult,
  Client,
  OAuthClientFlowError,
  OAuthError,
  ProtocolError,
  SdkError,
  SdkErrorCode,
  type Transport,
  UnauthorizedError,
} from '@modelcontextprotocol/client'
import { ClawmeshError } from '../../../policies/errors.js'
import { productVersion } from '../../version.js'
import { type Definition, definitionOf } from './definition.js'
import { questionOf, type ServerQuestion } from './question.js'

const mostTools = 128
const mostPages = 16

/** A transport that can say why it ended. */
export type McpTransport = Transport & { readonly why?: string | undefined }

interface Waiting {
  timeoutMs: number
  signal?: AbortSignal
}

/** Whether a person says yes to the answers that a server proposes. */
export type AskPerson = (question: ServerQuestion) => Promise<boolean>

export class McpConnection {
  readonly #name: string
  readonly #client: Client
  readonly #transport: McpTransport
  #tools: Definition[] = []
  /** How often it has said that its tools are others now, and how often it had when they were listed. */
  #changes = 0
  #listed = -1
  #isOpen = true
  #closed: (how: string) => void = () => undefined
  /** Resolves when nothing more is said to the server, or heard of it: how that came about. */
  readonly ended = new Promise<string>((resolve) => {
    this.#closed = resolve
  })

  private constructor(name: string, client: Client, transport: McpTransport) {
    this.#name = name
    this.#client = client
    this.#transport = transport
    client.onclose = () => {
      this.#isOpen = false
      this.#closed(transport.why ?? 'the connection was closed')
    }
    client.setNotificationHandler('notifications/tools/list_changed', () => {
      this.#changes += 1
    })
  }

  /** Throws DEADLINE, UNREACHABLE or MESSAGE_INVALID; the transport is closed then. */
  static async open(
    name: string,
    transport: McpTransport,
    { timeoutMs, signal, asks }: Waiting & { asks: AskPerson },
  ): Promise<McpConnection> {
    const client = new Client(
      { name: 'clawmesh', version: productVersion },
      { listMaxPages: mostPages, capabilities: { elicitation: { form: { applyDefaults: true } } } },
    )
    client.setRequestHandler('elicitation/create', async ({ params }) => {
      const question = questionOf(params)
      if (!question || !(await asks(question))) return { action: 'decline' }
      return { action: 'accept', content: question.answers }
    })
    const connection = new McpConnection(name, client, transport)
    try {
      await connection.#asked('its start', timeoutMs, signal, (options) => client.connect(transport, options))
      return connection
    } catch (error) {
      await connection.close()
      throw error
    }
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** As the server describes them now. */
  async tools({ timeoutMs, signal }: Waiting): Promise<readonly Definition[]> {
    if (this.#listed === this.#changes) return this.#tools
    const changes = this.#changes
    const { tools } = await this.#asked('the list of its tools', timeoutMs, signal, (options) =>
      this.#client.listTools(undefined, { ...options, cacheMode: 'refresh' }),
    )
    if (tools.length > mostTools) throw this.#invalid(`it has ${tools.length} tools; ${mostTools} is the most`)
    this.#tools = tools.map(definitionOf)
    this.#listed = changes
    return this.#tools
  }

  /** A server that does not answer in time is ended: what it does meanwhile, nobody asked for. */
  async call(name: string, args: Record<string, unknown>, { timeoutMs, signal }: Waiting): Promise<CallToolResult> {
    try {
      return await this.#asked(name, timeoutMs, signal, (options) =>
        this.#client.callTool({ name, arguments: args }, options),
      )
    } catch (error) {
      if (ClawmeshError.from(error).code === 'DEADLINE') await this.close()
      throw error
    }
  }

  async close(): Promise<void> {
    this.#isOpen = false
    await this.#client.close()
    await this.#transport.close()
  }

  async #asked<T>(
    what: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    ask: (options: { timeout: number; signal?: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted()
    try {
      return await ask({ timeout: Math.max(1, timeoutMs), ...(signal ? { signal } : {}) })
    } catch (error) {
      signal?.throwIfAborted()
      throw this.#failure(error, what, timeoutMs)
    }
  }

  #failure(error: unknown, what: string, timeoutMs: number): ClawmeshError {
    const server = `The MCP server ${this.#name}`
    // First, since a server that is late is stopped, and then is gone too.
    if (error instanceof ClawmeshError) return error
    if (error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout)
      return new ClawmeshError('DEADLINE', `${server} did not answer ${what} within ${Math.round(timeoutMs)} ms.`, {
        cause: error,
      })
    if (this.#transport.why !== undefined)
      return new ClawmeshError('UNREACHABLE', `${server} is gone: ${this.#transport.why}.`, {
        hint: 'It is started anew for the next call.',
        cause: error,
      })
    if (error instanceof OAuthError || error instanceof OAuthClientFlowError || error instanceof UnauthorizedError)
      return new ClawmeshError('UNAUTHENTIC', `${server} could not be logged into: ${error.message.slice(0, 500)}`, {
        hint: `Look at its login in the file of MCP servers, or log in anew: clawmesh mcp login ${this.#name}`,
        cause: error,
      })
    if (error instanceof ProtocolError)
      return new ClawmeshError('MESSAGE_INVALID', `${server} refused ${what}: ${error.message.slice(0, 1000)}`, {
        cause: error,
      })
    if (
      error instanceof SdkError &&
      (error.code === SdkErrorCode.ConnectionClosed || error.code === SdkErrorCode.SendFailed)
    )
      return new ClawmeshError('UNREACHABLE', `${server} is gone.`, { cause: error })
    return this.#invalid(`what it answered to ${what} has not the form that MCP says`, error)
  }

  #invalid(why: string, cause?: unknown): ClawmeshError {
    return new ClawmeshError('MESSAGE_INVALID', `The MCP server ${this.#name} cannot be used: ${why}.`, { cause })
  }
}
