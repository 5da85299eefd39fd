/** The only way out: takes a body with a clearance for exactly these bytes, and nothing else, and has the process that holds the keys send it. */
import { ClawmeshError } from '../../policies/errors.js'
import { type Delta, forms, type ProviderForm } from '../provider/form.js'
import type { KeptProvider, ProviderStore, Providers } from '../provider/store.js'
import { plainly, type StartHolder } from './channel.js'
import { type Clearance, spend } from './clearance.js'
import { Holder } from './holder.js'

export class Egress {
  readonly #providers: Providers
  readonly #holder: Holder

  private constructor(providers: Providers, holder: Holder) {
    this.#providers = providers
    this.#holder = holder
  }

  /**
   * Throws as ProviderStore.read does.
   * @param start how the process is started; left out, with nothing that keeps it from connecting elsewhere
   */
  static open(store: ProviderStore, start: StartHolder = plainly()): Egress {
    const providers = store.read()
    const { unsealing } = store
    return new Egress(providers, new Holder({ start, providers, unsealing }))
  }

  /** As `provider/model`. */
  get models(): string[] {
    return [...this.#providers].flatMap(([name, { models }]) => models.map((model) => `${name}/${model}`))
  }

  /** How this provider's bodies are written. Throws UNREACHABLE for one that is not in the store. */
  formOf(provider: string): ProviderForm {
    return forms[this.#provider(provider).form]
  }

  /** Starts the process before something is to leave. Rejects with MODEL_BUSY where it cannot be started. */
  ready(): Promise<void> {
    return this.#holder.ready()
  }

  /**
   * Sends it once and reads the answer as it comes. No redirect is followed and nothing is tried again.
   * @throws ClawmeshError DENIED without a clearance for these bytes; UNREACHABLE, MODEL_BUSY, MODEL_FAILED, CANCELLED
   */
  async *send(clearance: Clearance, body: Uint8Array, signal: AbortSignal): AsyncGenerator<Delta> {
    const destination = spend(clearance, body)
    this.#provider(destination.provider)
    yield* this.#holder.ask(destination, body, signal)
  }

  /** Ends the process; the next question starts another. */
  close(): void {
    this.#holder.close()
  }

  #provider(name: string): KeptProvider {
    const provider = this.#providers.get(name)
    if (provider) return provider
    throw new ClawmeshError('UNREACHABLE', `There is no provider ${name} in the key store.`, {
      hint: `There are: ${[...this.#providers.keys()].join(', ') || 'none'}.`,
    })
  }
}
