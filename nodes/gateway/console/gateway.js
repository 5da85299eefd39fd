/** The gateway, as the console asks it. The key is in the session's storage: it ends with the tab. */

const slot = 'clawmesh-key'

export const key = {
  get: () => sessionStorage.getItem(slot),
  set: (value) => sessionStorage.setItem(slot, value),
  clear: () => sessionStorage.removeItem(slot),
}

export class Failure extends Error {
  constructor(status, { code, message }) {
    super(message)
    this.status = status
    this.code = code
  }
}

export async function call(path, { method = 'GET', body } = {}) {
  const response = await ask(path, { method, ...(body ? { body: JSON.stringify(body) } : {}) })
  return response.json()
}

async function ask(path, { headers = {}, body, ...options }) {
  const response = await fetch(path, {
    ...options,
    ...(body ? { body } : {}),
    headers: {
      ...headers,
      authorization: `Bearer ${key.get()}`,
      ...(body ? { 'content-type': 'application/json' } : {}),
    },
  })
  if (response.ok) return response
  const { error } = await response.json().catch(() => ({ error: { code: 'INTERNAL', message: response.statusText } }))
  throw new Failure(response.status, error)
}

const againMs = 1000

/**
 * Calls back for each event of a stream, and goes on after the last one where a connection breaks. Resolves when the stream has ended for good or the signal
 * comes; rejects with what the gateway refuses. `last`: the id of an event after which it begins.
 */
export async function follow(path, take, signal, { untilEnd = false, last } = {}) {
  while (!signal.aborted) {
    try {
      const response = await ask(path, { signal, ...(last ? { headers: { 'last-event-id': last } } : {}) })
      for await (const { id, data } of eventsOf(response)) {
        last = id || last
        const event = JSON.parse(data)
        if (event.error && Object.keys(event).length === 1) throw new Failure(0, event.error)
        take(event)
      }
      if (untilEnd) return
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof Failure && error.status >= 400 && error.status < 500) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, againMs))
  }
}

async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const parts = (text + value).split('\n\n')
    text = parts.pop()
    for (const part of parts) {
      const fields = Object.fromEntries(part.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2)))
      if (fields.data !== undefined) yield fields
    }
  }
}
