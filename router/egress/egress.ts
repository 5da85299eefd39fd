/** The only way out, and the only holder of keys: takes a body with a clearance for exactly these bytes, and nothing else. */
import { ClawmeshError } from '../../policies/errors.js'
import { type Delta, forms, type ProviderForm } from '../provider/form.js'
import type { Provider, ProviderStore, Providers } from '../provider/store.js'
import { type Clearance, spend } from './clearance.js'
import { ofStatus, unanswered } from './unanswered.js'

export class Egress {
  readonly #providers: Providers

  private constructor(providers: Providers) {
    this.#providers = providers
  }

  /** Throws as ProviderStore.read does. */
  static open(store: ProviderStore): Egress {
    return new Egress(store.read())
  }

  /** As `provider/model`. */
  get models(): string[] {
    return [...this.#providers].flatMap(([name, { models }]) => models.map((model) => `${name}/${model}`))
  }

  /** How this provider's bodies are written. Throws UNREACHABLE for one that is not in the store. */
  formOf(provider: string): ProviderForm {
    return forms[this.#provider(provider).form]
  }

  /**
   * Sends it once and reads the answer as it comes. No redirect is followed and nothing is tried again.
   * @throws ClawmeshError DENIED without a clearance for these bytes; MODEL_BUSY, MODEL_FAILED, CANCELLED
   */
  async *send(clearance: Clearance, body: Uint8Array, signal: AbortSignal): AsyncGenerator<Delta> {
    const { provider: name } = spend(clearance, body)
    const provider = this.#provider(name)
    const form = forms[provider.form]
    const response = await reach(name, () =>
      fetch(`${provider.url.replace(/\/+$/, '')}${form.path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...form.headers(provider.key) },
        body,
        redirect: 'error',
        signal,
      }),
    )
    if (!response.ok) {
      await response.body?.cancel()
      const isBusy = response.status === 429 || response.status >= 500
      throw failed(name, `answered with status ${response.status}`, isBusy, undefined, ofStatus(response.status))
    }
    for await (const data of reading(name, response)) {
      const delta = understand(name, form, data)
      yield delta
      if (delta.done) return
    }
    throw failed(name, 'broke off in the middle of its answer', true)
  }

  #provider(name: string): Provider {
    const provider = this.#providers.get(name)
    if (provider) return provider
    throw new ClawmeshError('UNREACHABLE', `There is no provider ${name} in the key store.`, {
      hint: `There are: ${[...this.#providers.keys()].join(', ') || 'none'}.`,
    })
  }
}

async function reach(name: string, send: () => Promise<Response>): Promise<Response> {
  try {
    return await send()
  } catch (cause) {
    throw cancelled(cause) ?? failed(name, 'could not be reached', true, cause, wasReached(cause) ? {} : unanswered)
  }
}

/** Undici says why in the cause of what it throws. Whatever else happened, the question may have come there. */
function wasReached(thrown: unknown): boolean {
  const { cause } = thrown instanceof Error ? thrown : {}
  return !(cause instanceof Error && 'code' in cause && ['ECONNREFUSED', 'ENOTFOUND'].includes(String(cause.code)))
}

/** The data of each event of the stream. https://html.spec.whatwg.org/multipage/server-sent-events.html */
async function* reading(name: string, { body }: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let held = ''
  try {
    for await (const bytes of body ?? []) {
      held += decoder.decode(bytes, { stream: true })
      if (held.length > longestEvent) throw failed(name, 'sent an event that is too long', false)
      const lines = held.split(/\r?\n/)
      held = lines.pop() ?? ''
      for (const line of lines) if (line.startsWith('data:')) yield line.slice(5).trim()
    }
  } catch (cause) {
    if (cause instanceof ClawmeshError) throw cause
    throw cancelled(cause) ?? failed(name, 'broke off in the middle of its answer', true, cause)
  }
}

const longestEvent = 4 * 1024 * 1024

function understand(name: string, form: ProviderForm, data: string): Delta {
  try {
    return form.read(data)
  } catch (cause) {
    throw failed(name, 'answered with something that is not of its form', false, cause)
  }
}

function cancelled(cause: unknown): ClawmeshError | undefined {
  if (!(cause instanceof Error) || (cause.name !== 'AbortError' && cause.name !== 'TimeoutError')) return undefined
  return new ClawmeshError('CANCELLED', 'The question to a model elsewhere was given up.', { cause })
}

/** Never with the text of the answer: a provider may repeat in it what it was sent. */
function failed(
  name: string,
  what: string,
  isBusy: boolean,
  cause?: unknown,
  data: Partial<typeof unanswered> = {},
): ClawmeshError {
  return new ClawmeshError(isBusy ? 'MODEL_BUSY' : 'MODEL_FAILED', `The provider ${name} ${what}.`, {
    hint: isBusy ? 'Try again later.' : 'Check url, key and model in the key store.',
    data,
    ...(cause === undefined ? {} : { cause }),
  })
}
