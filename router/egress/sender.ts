/** One question to one provider, over HTTP, and its answer as it comes. This runs in the process that holds the keys. */
import { ClawmeshError } from '../../policies/errors.js'
import { type Delta, forms, type ProviderForm } from '../provider/form.js'
import type { Provider } from '../provider/store.js'
import { broken, failed, givenUp } from './failed.js'
import { ofStatus, unanswered } from './unanswered.js'

/**
 * Sends it once. No redirect is followed and nothing is tried again.
 * @throws ClawmeshError MODEL_BUSY, MODEL_FAILED, CANCELLED
 */
export async function* sendTo(
  name: string,
  provider: Pick<Provider, 'form' | 'url' | 'key'>,
  body: Uint8Array,
  signal: AbortSignal,
): AsyncGenerator<Delta> {
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
  throw broken(name)
}

async function reach(name: string, send: () => Promise<Response>): Promise<Response> {
  try {
    return await send()
  } catch (cause) {
    const code = codeOf(cause)
    if (forbidden.includes(code)) throw barred(name, cause)
    throw (
      cancelled(cause) ?? failed(name, 'could not be reached', true, cause, unreached.includes(code) ? unanswered : {})
    )
  }
}

/** Nobody can have seen the question. Whatever else happened, it may have come there. */
const unreached = ['ECONNREFUSED', 'ENOTFOUND']
/** What the rule of the operating system says no with, where there is one. */
const forbidden = ['EACCES', 'EAFNOSUPPORT']

const barred = (name: string, cause: unknown): ClawmeshError =>
  new ClawmeshError(
    'MODEL_FAILED',
    `The provider ${name} may not be connected to, by the rule of the operating system for the process that holds the keys.`,
    {
      hint: 'network.refused on the audit trail says why. If its name leads elsewhere by now, start the node again.',
      data: unanswered,
      cause,
    },
  )

/** Undici says why in the cause of what it throws. */
function codeOf(thrown: unknown): string {
  const { cause } = thrown instanceof Error ? thrown : {}
  return cause instanceof Error && 'code' in cause ? String(cause.code) : ''
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
    throw cancelled(cause) ?? broken(name, cause)
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
  return givenUp(cause)
}
