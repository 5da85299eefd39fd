/** A collector of OpenTelemetry on this machine: OTLP over HTTP, as JSON. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { z } from 'zod'

const attributes = z.array(z.object({ key: z.string(), value: z.object({ stringValue: z.string() }) }))
const bodySchema = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes }),
      scopeSpans: z.array(
        z.object({
          spans: z.array(
            z.object({
              traceId: z.string().regex(/^[0-9a-f]{32}$/),
              spanId: z.string().regex(/^[0-9a-f]{16}$/),
              parentSpanId: z
                .string()
                .regex(/^[0-9a-f]{16}$/)
                .optional(),
              name: z.string(),
              kind: z.union([z.literal(1), z.literal(2), z.literal(3)]),
              startTimeUnixNano: z.string().regex(/^\d{19}$/),
              endTimeUnixNano: z.string().regex(/^\d{19}$/),
              attributes,
              status: z.object({ code: z.literal(2).optional(), message: z.string().optional() }),
            }),
          ),
        }),
      ),
    }),
  ),
})

export type CollectedSpan = z.output<
  typeof bodySchema
>['resourceSpans'][number]['scopeSpans'][number]['spans'][number] & { node: string }

/** A status, with what it asks for; or how long the collector keeps it to itself before it says 200. */
export type CollectorAnswer = number | { status: number; retryAfter: string } | { afterMs: number }

export interface SpanCollector {
  url: string
  readonly spans: CollectedSpan[]
  /** As they came. */
  readonly bodies: string[]
  readonly headers: Record<string, unknown>[]
  /** What the next requests are answered with; 200 when there is none left. */
  readonly answers: CollectorAnswer[]
  /** When the requests came, as `performance.now()` has it. */
  readonly times: number[]
  close(): void
}

export async function spanCollector(): Promise<SpanCollector> {
  const spans: CollectedSpan[] = []
  const [bodies, times]: [string[], number[]] = [[], []]
  const headers: Record<string, unknown>[] = []
  const answers: CollectorAnswer[] = []
  const server = createServer(async (request, response) => {
    times.push(performance.now())
    let body = ''
    for await (const piece of request.setEncoding('utf8')) body += piece
    const answer = request.url === '/v1/traces' ? (answers.shift() ?? 200) : 404
    const { status, retryAfter, afterMs } = {
      ...{ status: 200, retryAfter: undefined, afterMs: 0 },
      ...(typeof answer === 'number' ? { status: answer } : answer),
    }
    bodies.push(body)
    headers.push(request.headers)
    if (status === 200)
      for (const { resource, scopeSpans } of bodySchema.parse(JSON.parse(body)).resourceSpans) {
        const node = resource.attributes.find(({ key }) => key === 'service.instance.id')?.value.stringValue ?? ''
        spans.push(...scopeSpans.flatMap((scope) => scope.spans.map((span) => ({ ...span, node }))))
      }
    if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter)
    setTimeout(() => response.writeHead(status).end('{}'), afterMs).unref()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { url: `http://127.0.0.1:${port}`, spans, bodies, headers, answers, times, close }
}
