/** `clawmesh audit export` to an HTTP collector: at least once, in order, with an id, whatever the collector does. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Collector } from '../../nodes/audit/collector.js'
import { formatNamed } from '../../nodes/audit/format.js'
import { readTrail } from '../../nodes/audit/read.js'
import { type AuditSource, openLiveSource } from '../../nodes/audit/source.js'
import { runCommand } from '../kit/command.js'
import { eventually } from '../kit/eventually.js'
import { temporaryFolder } from '../kit/mesh.js'
import { seededRandom } from '../kit/random.js'
import { compare, idsOn, shortened } from './exported.js'
import { beginSite, type RunningSite } from './site.js'

interface Taken {
  time: number
  host: string
  sourcetype: string
  event: { kind: string }
  fields: { id: string }
}

/** What the collector does with a request: takes the events or not, and answers or not. */
type Whim = 'take' | 'refuse' | 'hang up' | 'take and hang up'

class FakeSplunk {
  readonly taken: Taken[] = []
  readonly tokens = new Set<string>()
  requests = 0
  #whim: () => Whim = () => 'take'
  #held: Promise<unknown> = Promise.resolve()
  readonly #server: Server

  constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/services/collector/event`
  }

  /** `held`: no request is answered before. */
  behave(whim: () => Whim, held: Promise<unknown> = Promise.resolve()): void {
    this.#whim = whim
    this.#held = held
    this.taken.length = 0
    this.requests = 0
  }

  /** Ids in the order in which they first came. */
  ids(): string[] {
    return [...new Set(this.taken.map(({ fields }) => fields.id))]
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += chunk
    this.requests += 1
    this.tokens.add(request.headers.authorization ?? '')
    await this.#held
    const whim = this.#whim()
    if (whim === 'refuse') return void response.writeHead(503).end('{"text":"Server is busy","code":9}')
    if (whim !== 'hang up') this.taken.push(...(JSON.parse(`[${body.replaceAll('}{"time"', '},{"time"')}]`) as Taken[]))
    if (whim === 'take') response.end('{"text":"Success","code":0}')
    else request.socket.destroy()
  }
}

describe('an HTTP collector', () => {
  const splunk = new FakeSplunk()
  let data: string
  let url: string
  let running: RunningSite
  let source: AuditSource
  let wanted: string[]

  before(async () => {
    data = temporaryFolder()
    url = await splunk.listen()
    running = await beginSite(data)
    for (let n = 0; n < 120; n += 1) {
      await running.site.node.note('thought.asked', { n })
      if (n % 10 === 0) await running.site.node.audit.flush(60_000)
    }
    await running.site.node.audit.flush(60_000)
    const live = await openLiveSource(data)
    assert.ok(live)
    source = live
    wanted = await idsOn(source.records, source.authority)
  })
  after(async () => {
    await source.close()
    await running.close()
    splunk.close()
    rmSync(data, { recursive: true, force: true })
  })

  const collector = (state: string, options: { giveUpMs?: number; firstPauseMs?: number; signal?: AbortSignal } = {}) =>
    new Collector({
      url: new URL(url),
      token: undefined,
      format: formatNamed('jsonl'),
      mesh: source.authority.mesh,
      rootKey: source.authority.root.publicKey,
      stateFile: join(data, state),
      signal: new AbortController().signal,
      ...options,
    })
  async function send(to: Collector, messages = Number.POSITIVE_INFINITY): Promise<void> {
    const { log, authority } = source
    const { reader, after, throwIfFaulty } = to
    const some = shortened(log, after + messages)
    for await (const events of readTrail({ log: some, authority, reader, after, throwIfFaulty }))
      await to.append(events)
  }

  /** A request for each message, as a follower makes them. */
  async function oneByOne(to: Collector, last: number): Promise<void> {
    while (to.after < last) await send(to, 1)
  }

  it('gets every event in the form of Splunk, with the token, by the shipped command', async () => {
    splunk.behave(() => 'take')
    const token = join(data, 'token')
    writeFileSync(token, 'a secret\n')
    const args = ['audit', 'export', '--to', url, '--token-file', token, '--format', 'ocsf', '--data', data]
    assert.equal((await runCommand(args)).status, 0)
    assert.deepEqual(compare(splunk.ids(), wanted), [])
    assert.deepEqual([...splunk.tokens], ['Splunk a secret'])
    const [first] = splunk.taken
    assert.ok(first)
    assert.equal(first.sourcetype, 'clawmesh:ocsf')
    assert.equal(first.host, 'operator')
    assert.ok(Math.abs(first.time - Date.now() / 1000) < 600)
    assert.match(first.fields.id, /^[0-9a-f]{64}\.0$/)
    const { requests } = splunk
    assert.equal((await runCommand(args)).status, 0)
    assert.equal(splunk.requests, requests, 'what was acknowledged is not sent again')
  })

  it('that fails half of the time still gets every event, in order, and the same ones under the same id', async () => {
    const random = seededRandom(3)
    const whims: Whim[] = ['refuse', 'hang up', 'take and hang up']
    splunk.behave(() => (random() < 0.5 ? 'take' : (whims[Math.floor(random() * whims.length)] ?? 'refuse')))
    // Ended and begun again on the way, as by a crash.
    const impatient = () => collector('half.json', { firstPauseMs: 5 })
    for (let message = 1; message <= (await source.log.last()); message += 1) await send(impatient(), 1)
    assert.deepEqual(compare(splunk.ids(), wanted), [])
    assert.ok(splunk.taken.length > wanted.length, 'none came twice: nothing was tried')
  })

  it('that is slow gets every event, and does not slow the writers', async () => {
    let release: () => void = () => undefined
    splunk.behave(() => 'take', new Promise<void>((resolve) => (release = resolve)))
    const slow = oneByOne(collector('slow.json'), await source.log.last())
    for (let n = 0; n < 20; n += 1)
      await running.site.node.audit.intend({ kind: 'task.started', trace: '', actor: 'a', facts: {} })
    await eventually(() => assert.equal(splunk.requests, 1))
    assert.equal(splunk.taken.length, 0, 'the collector was not slow')
    release()
    await slow
    wanted = await idsOn(source.records, source.authority)
    await send(collector('slow.json'))
    assert.deepEqual(compare(splunk.ids(), wanted), [])
  })

  it('that refuses for good ends the export with a clear error', async () => {
    const server = createServer((_, response) => response.writeHead(403).end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const to = `http://127.0.0.1:${(server.address() as AddressInfo).port}/services/collector/event`
    const { status, stderr } = await runCommand(['audit', 'export', '--to', to, '--data', data])
    server.close()
    assert.equal(status, 3)
    assert.match(stderr, /refused the events with status 403[\s\S]*--token-file/)
  })

  it('that is away is tried again until it is given up, or the person ends it', async () => {
    splunk.behave(() => 'refuse')
    await assert.rejects(send(collector('away.json', { giveUpMs: 500 })), /does not take events: status 503/)
    const stop = new AbortController()
    const sending = assert.rejects(send(collector('away.json', { signal: stop.signal })), { name: 'AbortError' })
    await eventually(() => assert.ok(splunk.requests >= 4))
    stop.abort()
    await sending
  })
})
