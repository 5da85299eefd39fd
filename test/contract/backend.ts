import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Backend, collect, type GenerateEvent, type GenerateRequest } from '../../inference/backend.js'
import type { ToolSpec } from '../../inference/tool.js'
import { ClawmeshError, type ErrorCode } from '../../policies/errors.js'

/** What an implementation brings for the suite to run on it. */
export interface BackendSubject {
  /** A model that answers `12 + 7` with a few tokens of text, and a request with tools by a call. */
  open(): Promise<Backend>
  /** A model that never ends, with one slot and no queue. */
  openEndless(): Promise<Backend>
  /** A model with a context of 2,048 tokens; left out where no server of its kind is at hand that counts them. */
  openNarrow?(): Promise<Backend>
  /** Resolves when the endless model computes nothing any more; undefined where asking again at once is proof. */
  idle?(): Promise<void>
  /** false: the server behind the backend has no way to say how many tokens were used. */
  countsTokens?: boolean
}

export const countLines: ToolSpec = {
  name: 'count_lines',
  description: 'The number of lines of a file',
  parameters: {
    type: 'object',
    properties: { path: { type: 'string', description: 'The file', 'x-copy': true } },
    required: ['path'],
  },
}

export const sum: GenerateRequest = { messages: [{ role: 'user', content: '12 + 7' }], maxTokens: 64, temperature: 0 }

/** The promises that every backend keeps. */
export function backendContract(name: string, subject: BackendSubject): void {
  describe(`${name} keeps the contract of a backend`, () => {
    let backend: Backend
    before(async () => {
      backend = await subject.open()
    })
    after(() => backend.dispose())

    it('says what it is', () => {
      assert.match(backend.model.name, /./)
      assert.match(backend.model.purpose, /./)
      assert.match(backend.model.limits, /./)
    })

    it('streams text, then says once and last that it is done and what was used', async () => {
      const events: GenerateEvent[] = []
      for await (const event of backend.generate(sum)) events.push(event)
      const done = events.at(-1)
      assert.ok(events.length > 1 && events.slice(0, -1).every(({ type }) => type === 'token'))
      assert.ok(done?.type === 'done')
      if (subject.countsTokens === false) assert.equal(done.usage, null)
      else assert.ok(done.usage && done.usage.promptTokens > 0 && done.usage.outputTokens > 0)
    })

    it('calls an offered tool with arguments that its schema accepts', async () => {
      const messages = [{ role: 'user' as const, content: 'how many lines has notes.txt?' }]
      const answer = await collect(backend.generate({ messages, tools: [countLines], maxTokens: 128, temperature: 0 }))
      assert.equal(answer.reason, 'call')
      assert.equal(answer.calls[0]?.name, 'count_lines')
      assert.ok(messages[0]?.content.includes(String(answer.calls[0]?.arguments.path)))
    })

    it('finishes two requests that are asked at once', async () => {
      const answers = await Promise.all([collect(backend.generate(sum)), collect(backend.generate(sum))])
      assert.deepEqual(answers[0]?.text, answers[1]?.text)
    })

    it('refuses a malformed request', async () => {
      await assert.rejects(collect(backend.generate({ ...sum, maxTokens: 0 })), coded('MESSAGE_INVALID'))
    })

    it('does not begin when the caller has already cancelled', async () => {
      await assert.rejects(collect(backend.generate(sum, AbortSignal.abort())), coded('CANCELLED'))
    })

    const { openNarrow } = subject
    if (openNarrow)
      it('refuses a prompt of 10,000 tokens in a context of 2,048, and answers the next', {
        timeout: 20_000,
      }, async () => {
        const narrow = await openNarrow()
        try {
          // A token each, by the tokenizers and servers here.
          const messages = [{ role: 'user' as const, content: 'x'.repeat(10_000) }]
          await assert.rejects(collect(narrow.generate({ ...sum, messages })), coded('MODEL_UNSUITED'))
          assert.equal((await collect(narrow.generate({ ...sum, maxTokens: 3 }))).reason, 'length')
        } finally {
          await narrow.dispose()
        }
      })

    it('stops when the caller cancels, and has its slot free for the next', async () => {
      const endless = await subject.openEndless()
      try {
        for (let round = 0; round < 3; round++) {
          const cancel = new AbortController()
          const [first] = await begin(endless, cancel.signal)
          assert.equal(first?.type, 'token')
          cancel.abort()
          await subject.idle?.()
        }
        const limited = await collect(endless.generate({ ...sum, maxTokens: 5 }))
        assert.equal(limited.reason, 'length')
      } finally {
        await endless.dispose()
      }
    })

    it('stops when the caller leaves the loop', async () => {
      const endless = await subject.openEndless()
      try {
        for await (const event of endless.generate({ ...sum, maxTokens: 100_000 })) if (event.type === 'token') break
        await subject.idle?.()
        assert.equal((await collect(endless.generate({ ...sum, maxTokens: 5 }))).reason, 'length')
      } finally {
        await endless.dispose()
      }
    })

    it('says that it is busy when no room is left', async () => {
      const endless = await subject.openEndless()
      try {
        const cancel = new AbortController()
        const [, running] = await begin(endless, cancel.signal)
        await assert.rejects(collect(endless.generate(sum)), coded('MODEL_BUSY'))
        cancel.abort()
        await assert.rejects(running, coded('CANCELLED'))
      } finally {
        await endless.dispose()
      }
    })

    it('ends a running answer when it is disposed of, and answers nothing afterwards', async () => {
      const endless = await subject.openEndless()
      const [, running] = await begin(endless)
      const ended = assert.rejects(running, coded('CANCELLED'))
      await endless.dispose()
      await ended
      await assert.rejects(collect(endless.generate(sum)))
    })
  })
}

/** Starts an answer without end: its first event, and the promise of the rest. */
async function begin(backend: Backend, signal?: AbortSignal): Promise<[GenerateEvent, Promise<unknown>]> {
  const events = backend.generate({ ...sum, maxTokens: 100_000 }, signal)[Symbol.asyncIterator]()
  const { value } = await events.next()
  const rest = (async () => {
    while (!(await events.next()).done);
  })()
  // Awaited by whom it concerns; the others cancel it.
  rest.catch(() => {})
  return [value, rest]
}

/** For assert.rejects: the code of a ClawmeshError, which must come with a hint. */
export function coded(code: ErrorCode): (thrown: unknown) => boolean {
  return (thrown) => {
    assert.ok(thrown instanceof ClawmeshError, `not a ClawmeshError: ${thrown}`)
    assert.equal(thrown.code, code, thrown.message)
    assert.match(thrown.hint, /./)
    return true
  }
}
