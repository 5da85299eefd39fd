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

export interface SpanCollector {
  url: string
  readonly spans: CollectedSpan[]
  /** As they came. */
  readonly bodies: string[]
  readonly headers: Record<string, unknown>[]
  /** What the next requests are answered with; 200 when there is none left. */
  readonly answers: number[]
  close(): void
}

export async function spanCollector(): Promise<SpanCollector> {
  const [spans, bodies, headers, answers]: [CollectedSpan[], string[], Record<string, unknown>[], number[]] = [
    [],
    [],
    [],
    [],
  ]
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request.setEncoding('utf8')) body += piece
    const status = request.url === '/v1/traces' ? (answers.shift() ?? 200) : 404
    bodies.push(body)
    headers.push(request.headers)
    if (status === 200)
      for (const { resource, scopeSpans } of bodySchema.parse(JSON.parse(body)).resourceSpans) {
        const node = resource.attributes.find(({ key }) => key === 'service.instance.id')?.value.stringValue ?? ''
        spans.push(...scopeSpans.flatMap((scope) => scope.spans.map((span) => ({ ...span, node }))))
      }
    response.writeHead(status).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { url: `http://127.0.0.1:${port}`, spans, bodies, headers, answers, close }
}
