/** How a provider wants to be asked, and how it answers. One object for each published form; adding one changes nothing else. */
import type { ModelRequest } from '../request.js'
import { anthropicForm } from './anthropic.js'
import { openAiForm } from './openai.js'

export interface Delta {
  readonly text?: string
  readonly usage?: { readonly inputTokens?: number; readonly outputTokens?: number }
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
