/** A page by HTTP, over whatever network the sandbox lets through. By Node's plain client: the one behind `fetch` needs WebAssembly. */
import type { get, IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import { ActionError } from './error.js'

/** Not by `import`, for which Node 22 looks at each of its exports, and starts WebAssembly for one of them. */
const load = createRequire(import.meta.url)

const mostBytes = 1_048_576
const mostCharacters = 65_536
const mostRedirects = 5
const silenceMs = 20_000

export async function httpFetch({ url }: { url: string }) {
  let at = new URL(url)
  for (let redirects = 0; ; redirects += 1) {
    const { response, body, truncated } = await fetched(at)
    const { statusCode: status = 0, headers } = response
    if (status >= 300 && status < 400 && headers.location !== undefined) {
      if (redirects === mostRedirects) throw new ActionError(`${url} leads on more than ${mostRedirects} times.`)
      at = redirected(headers.location, at)
      continue
    }
    const type = headers['content-type'] ?? ''
    const text = textOf(body, type)
    const isCut = truncated || text.length > mostCharacters
    return {
      url: at.href,
      status,
      type,
      bytes: body.length,
      truncated: isCut,
      page: text.slice(0, mostCharacters),
      text: `${at.href} answers ${status}${type === '' ? '' : ` (${type})`}:\n${text.slice(0, mostCharacters)}${isCut ? '\n…' : ''}`,
      summary: `${status}, ${body.length} bytes`,
    }
  }
}

/** Never from what is sealed on its way to what is not. */
function redirected(location: string, from: URL): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from.href) : undefined
  if (!to || (to.protocol !== 'https:' && (to.protocol !== 'http:' || from.protocol === 'https:')))
    throw new ActionError(`${from.href} leads to ${location.slice(0, 200)}, where it is not followed.`)
  return to
}

function fetched(url: URL): Promise<{ response: IncomingMessage; body: Buffer; truncated: boolean }> {
  return new Promise((resolve, reject) => {
    const headers = { 'accept-encoding': 'identity', 'user-agent': 'clawmesh' }
    const fail = ({ code, message }: NodeJS.ErrnoException) =>
      reject(new ActionError(`${url.host} cannot be reached: ${reasons[code ?? ''] ?? message}.`))
    const answered = (response: IncomingMessage) => {
      const parts: Buffer[] = []
      let length = 0
      response.on('data', (part: Buffer) => {
        parts.push(part.subarray(0, mostBytes - length))
        length += part.length
        if (length <= mostBytes) return
        resolve({ response, body: Buffer.concat(parts), truncated: true })
        request.destroy()
      })
      response.on('end', () => resolve({ response, body: Buffer.concat(parts), truncated: false }))
      response.on('error', fail)
    }
    const { get: ask }: { get: typeof get } = load(url.protocol === 'https:' ? 'node:https' : 'node:http')
    const request = ask(url, { headers }, answered)
    request.setTimeout(silenceMs, () => request.destroy(new Error(`it said nothing for ${silenceMs / 1000} s`)))
    request.on('error', fail)
  })
}

const reasons: Record<string, string> = {
  EACCES: 'the policy, or a person, does not let it be',
  ENOTFOUND: 'there is no such name, or the policy does not let it be',
  EAI_AGAIN: 'there is no such name, or the policy does not let it be',
}

function textOf(body: Buffer, type: string): string {
  if (type !== '' && !/^text\/|json|xml|javascript|csv|yaml/i.test(type))
    return `(${body.length} bytes that are no text)`
  const text = new TextDecoder('utf-8').decode(body)
  return /html/i.test(type) ? readable(text) : text
}

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }

/** The words of a page, about a line for each of its blocks. What its scripts would make of it is not there. */
export const readable = (html: string): string =>
  html
    .replace(/<!--[\s\S]*?(?:-->|$)|<(script|style|template|noscript)\b[\s\S]*?(?:<\/\1\s*>|$)/gi, '')
    .replace(/\s+/g, ' ')
    .replace(
      /<(?:br|\/?(?:p|div|li|tr|h[1-6]|section|article|header|footer|table|ul|ol|pre|blockquote|title))\b[^>]*>/gi,
      '\n',
    )
    .replace(/<[^>]*>/g, '')
    .replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]+));/gi, (whole, decimal, hexadecimal, name) => {
      const code = decimal ? Number(decimal) : hexadecimal ? Number.parseInt(hexadecimal, 16) : undefined
      if (code !== undefined) return code <= 0x10ffff ? String.fromCodePoint(code) : whole
      return entities[String(name).toLowerCase()] ?? whole
    })
    .replace(/ *\n[ \n]*/g, '\n')
    .trim()
