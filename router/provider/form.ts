/** How a provider wants to be asked, and how it answers. One object for each published form; adding one changes nothing else. */
import type { ModelRequest } from '../request.js'
import { anthropicForm } from './anthropic.js'
import type { CallPiece } from './call.js'
import { openAiForm } from './openai.js'

export interface ProviderUsage {
  /** Of the whole prompt. */
  readonly promptTokens: number
  /** Those of them that the provider did not have to read anew. */
  readonly cachedTokens: number
  readonly outputTokens: number
}

export type EndReason = 'stop' | 'length' | 'call'

export interface Delta {
  readonly text?: string
  readonly calls?: readonly CallPiece[]
  /** What is known of it by now: later counts take the place of earlier ones. */
  readonly usage?: Partial<ProviderUsage>
  readonly reason?: EndReason
  /** The answer was complete. A stream that ends without this was cut off. */
  readonly done?: boolean
}

export interface ProviderForm {
  body(model: string, request: ModelRequest): Record<string, unknown>
  /** Below the provider's URL. */
  readonly path: string
  headers(key: string): Record<string, string>
  /** One event of the stream: its data, as text. */
  read(data: string): Delta
}

export const forms = { openai: openAiForm, anthropic: anthropicForm } as const satisfies Record<string, ProviderForm>
export type FormName = keyof typeof forms
export const formNames = Object.keys(forms) as [FormName, ...FormName[]]
