/** Spans on their way to a collector: best effort, bounded, and nobody waits for it. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { inspect } from 'node:util'
import type { Span } from '../../mesh/calls/spans.js'
import { readConfig, serviceEnvironment } from '../../nodes/config.js'
import { openTraces } from '../../nodes/traces.js'
import type { ClawmeshError } from '../../policies/errors.js'
import { runCommand } from '../kit/command.js'
import { eventually } from '../kit/eventually.js'
import { type SpanCollector, spanCollector } from '../kit/span-collector.js'

const span = (name: string, start = Date.now()): Span => ({
  trace: randomBytes(16).toString('hex'),
  id: randomBytes(8).toString('hex'),
  parent: undefined,
  kind: 'client',
  name,
  actor: 'a',
  from: undefined,
  start,
  end: start + 1.25,
  error: undefined,
})

describe('traces', () => {
  let collector: SpanCollector
  const said: string[] = []
  const open = (url = collector.url, everyMs?: number) => {
    const { traces } = readConfig({
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20x, tenant = one',
    })
    const sink = openTraces(traces, 'home', (text) => said.push(text), everyMs)
    assert.ok(sink)
    return sink
  }
  beforeEach(async () => {
    said.length = 0
    collector = await spanCollector()
  })
  afterEach(() => collector.close())

  it('come as the collector wants them, with its headers, and all of them', async () => {
    const sink = open()
    for (let number = 0; number < 1300; number += 1) sink.take(span(`m${number}`))
    // The end has a second for the rest: not for all of them, on a busy machine.
    await eventually(() => assert.equal(collector.spans.length, 1024))
    await sink.close()
    assert.deepEqual(
      collector.spans.map(({ name }) => name),
      Array.from({ length: 1300 }, (_, number) => `m${number}`),
    )
    const [first] = collector.spans
    assert.equal(BigInt(first?.endTimeUnixNano ?? 0) - BigInt(first?.startTimeUnixNano ?? 0), 1_250_000n)
    assert.deepEqual([collector.headers[0]?.['authorization'], collector.headers[0]?.['tenant']], ['Bearer x', 'one'])
    assert.deepEqual(said, [])
  })

  it('are sent again where the collector is busy, and dropped where it refuses them', async () => {
    const sink = open()
    collector.answers.push(503, 400)
    for (let number = 0; number < 512; number += 1) sink.take(span('first'))
    sink.take(span('second'))
    await sink.close()
    assert.equal(collector.bodies[0], collector.bodies[1], 'the same spans again')
    assert.deepEqual(
      collector.spans.map(({ name }) => name),
      ['second'],
    )
    assert.equal(said.length, 1, said.join('\n'))
    assert.match(said[0] ?? '', /takes none: HTTP 503/)
  })

  it('are not pressed on a collector that takes none: later and later, and not before it wants to be asked', async () => {
    const everyMs = 20
    const asking = await spanCollector()
    try {
      collector.answers.push(...Array<number>(9).fill(503))
      asking.answers.push({ status: 429, retryAfter: '600' })
      const sinks = [open(collector.url, everyMs), open(asking.url, everyMs)]
      for (const sink of sinks) for (let number = 0; number < 512; number += 1) sink.take(span('x'))
      await eventually(() => assert.equal(said.length, 2))
      await eventually(() => {
        for (const sink of sinks) sink.take(span('more'))
        assert.ok(collector.times.length >= 4)
      })
      assert.equal(asking.times.length, 1)
      const [first = 0, , , fourth = 0] = collector.times
      assert.ok(fourth - first >= everyMs * (1 + 2 + 4) - 3, `asked again within ${fourth - first} ms`)
      await Promise.all(sinks.map((sink) => sink.close()))
    } finally {
      asking.close()
    }
  })

  it('hold up the end of a node for a second, with a collector that is slow or hangs', async () => {
    const hanging = await spanCollector()
    try {
      collector.answers.push(...Array.from({ length: 8 }, () => ({ afterMs: 700 })))
      hanging.answers.push({ afterMs: 60_000 }, { afterMs: 60_000 })
      const sinks = [open(), open(hanging.url)]
      for (const sink of sinks) for (let number = 0; number < 4096; number += 1) sink.take(span('x'))
      await eventually(() => assert.ok(collector.times.length > 0 && hanging.times.length > 0))
      const began = performance.now()
      await Promise.all(sinks.map((sink) => sink.close()))
      const took = performance.now() - began
      assert.ok(took < 45_000, `${took} ms`)
    } finally {
      hanging.close()
    }
  })

  it('wait in bounded number for a collector that is away', async () => {
    collector.close()
    const [sink, same] = [open(), span('x')]
    for (let number = 0; number < 100_000; number += 1) sink.take(same)
    await sink.close()
    assert.match(said[0] ?? '', /ECONNREFUSED/)
  })

  it('are made only where a collector is named', () => {
    for (const environment of [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_SDK_DISABLED: 'true' }])
      assert.equal(openTraces(readConfig(environment).traces, 'home'), undefined)
  })
})

describe('the variables of a collector', () => {
  const at = 'http://collector:4318'

  it('name its address, and a query stays behind the path', () => {
    const urlOf = (environment: Record<string, string>) => readConfig(environment).traces?.url
    assert.equal(urlOf({ OTEL_EXPORTER_OTLP_ENDPOINT: `${at}/in/?k=1` }), `${at}/in/v1/traces?k=1`)
    const both = { OTEL_EXPORTER_OTLP_ENDPOINT: 'none', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${at}/own` }
    assert.equal(urlOf(both), `${at}/own`)
  })

  const wrong = {
    'no address': { OTEL_EXPORTER_OTLP_ENDPOINT: 'localhost:4318/?key=s3cret' },
    'another protocol': { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'ftp://collector/s3cret' },
    'a password': { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://me:s3cret@collector:4318' },
    'a user': { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://s3cret@collector:4318' },
    'a percent that stands for nothing': { OTEL_EXPORTER_OTLP_HEADERS: 'key=s3cret%', OTEL_EXPORTER_OTLP_ENDPOINT: at },
    'a line break': { OTEL_EXPORTER_OTLP_HEADERS: 'key=s3cret%0Ax', OTEL_EXPORTER_OTLP_ENDPOINT: at },
    'a name that is none': { OTEL_EXPORTER_OTLP_HEADERS: 's3cret@=x', OTEL_EXPORTER_OTLP_ENDPOINT: at },
  }
  for (const [what, environment] of Object.entries(wrong))
    it(`are refused where a node is opened, and only there, without what they hold: ${what}`, () => {
      const config = readConfig(environment)
      assert.throws(
        () => config.traces,
        (error: ClawmeshError) => {
          assert.equal(error.code, 'USAGE')
          assert.match(`${error.message} ${error.hint}`, /OTEL_EXPORTER_OTLP_/)
          assert.doesNotMatch(inspect(error), /s3cret/)
          return true
        },
      )
    })

  it('go into the unit of a service but for what lets a node in', () => {
    for (const secret of ['?api_key=x', '#x'])
      assert.deepEqual(serviceEnvironment({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: at + secret }), {})
    assert.deepEqual(serviceEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://me:x@collector' }), {})
    assert.deepEqual(serviceEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: at }), { OTEL_EXPORTER_OTLP_ENDPOINT: at })
  })

  it('are nothing to a command that opens no node', async () => {
    const { status, stdout, stderr } = await runCommand(['--help'], { env: wrong['no address'] })
    assert.deepEqual([status, stderr], [0, ''])
    assert.match(stdout, /^clawmesh: /)
  })
})
