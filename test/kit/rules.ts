/** A model whose answers follow from rules: what it is asked decides what it says, so that a test knows what an agent will think. */
import type { Backend, GenerateEvent, GenerateRequest, ModelInfo } from '../../inference/backend.js'
import { checkRequest } from '../../inference/backend.js'
import type { ToolCall } from '../../inference/tool.js'

export type Rule = (request: GenerateRequest, signal?: AbortSignal) => Said | Promise<Said>
/** Text, a call or several, or nothing that can be used. */
export type Said = string | ToolCall | ToolCall[]

export class RuleBackend implements Backend {
  readonly model: ModelInfo
  readonly requests: GenerateRequest[] = []
  readonly #rule: Rule
  readonly #billed: number | undefined

  constructor(rule: Rule, options: { name?: string; billed?: number; tools?: string[] } = {}) {
    this.#rule = rule
    this.#billed = options.billed
    this.model = {
      name: options.name ?? 'rules',
      digest: null,
      backend: 'rules',
      context: null,
      ...(options.tools ? { tools: options.tools } : {}),
      purpose: 'Tests.',
      limits: 'Knows its rules and nothing else.',
    }
  }

  async *generate(request: GenerateRequest, signal?: AbortSignal): AsyncIterable<GenerateEvent> {
    this.requests.push(checkRequest(this.model, request))
    const said = await this.#rule(request, signal)
    if (typeof said === 'string') for (const text of said.match(/\S+\s*/g) ?? []) yield { type: 'token', text }
    else for (const each of [said].flat()) yield { type: 'call', call: each }
    const outputTokens = Math.min(request.maxTokens, JSON.stringify(said).length)
    const usage = { promptTokens: this.#billed ?? 10, outputTokens: this.#billed === undefined ? outputTokens : 0 }
    yield { type: 'done', reason: typeof said === 'string' ? 'stop' : 'call', usage }
  }

  dispose(): Promise<void> {
    return Promise.resolve()
  }
}

export const call = (name: string, args: Record<string, unknown> = {}): ToolCall => ({ name, arguments: args })

/** What came of the last action, as the agent tells its model. */
export const observed = ({ messages }: GenerateRequest): string | undefined => {
  const last = messages.at(-1)
  return last?.role === 'tool' ? last.content : undefined
}
