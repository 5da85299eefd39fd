/** What a server gives a browser, for whoever began to change it for tokens: good once, for who knows the text of the challenge (PKCE). */
import { createHash, randomUUID } from 'node:crypto'

export class Codes {
  readonly #codes = new Map<string, { challenge: string; person: string }>()

  /** Sends the browser back with one. */
  redirect({ searchParams }: URL, person: string): Response {
    const code = randomUUID()
    this.#codes.set(code, { challenge: searchParams.get('code_challenge') ?? '', person })
    const back = new URL(searchParams.get('redirect_uri') ?? '')
    back.search = String(new URLSearchParams({ code, state: searchParams.get('state') ?? '' }))
    return new Response(null, { status: 302, headers: { location: back.href } })
  }

  /** Whose it is. */
  take(form: URLSearchParams): string | undefined {
    const code = form.get('code') ?? ''
    const found = this.#codes.get(code)
    const proof = createHash('sha256').update(form.get('code_verifier') ?? '')
    return this.#codes.delete(code) && found?.challenge === proof.digest('base64url') ? found.person : undefined
  }
}
