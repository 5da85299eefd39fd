/** I1: somebody with every right on the broker of the real main job, who also has its disk, sees nothing of what the job is about. */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { connect, jwtAuthenticator, type NatsConnection } from '@nats-io/transport-node'
import { addressesOf } from '../../../mesh/address.js'
import { BrokerAccounts } from '../../../mesh/broker/accounts.js'
import { openBrokerKeys } from '../../../mesh/broker/keys.js'
import { installation } from '../../../mesh/installation.js'
import { Command, type Ended } from '../../chaos/command.js'
import { eventually } from '../../kit/eventually.js'
import { natsMesh, temporaryFolder } from '../../kit/mesh.js'
import { type SpanCollector, spanCollector } from '../../kit/span-collector.js'
import { Canaries, spellings } from './canary.js'

const inFileName = 'kanarek-spis'
const inName = 'Zofia Kanarkowa'
const inReceipt = 'R-77345512'
const inRequest = 'expense entries'
const inHeldPath = 'gehalt-kanarie'
const inHeldFile = '58217.43'
const planted = [inFileName, inName, inReceipt, inRequest, inHeldPath, inHeldFile]

describe('a tap on the broker of the main job', () => {
  const folder = temporaryFolder()
  const data = join(folder, 'data')
  const workspace = join(folder, 'desk', 'workspace')
  const tapped: { subject: string; bytes: Uint8Array }[] = []
  const stored: { path: string; bytes: Uint8Array }[] = []
  let ended: Ended
  let intruders: NatsConnection[] = []
  let traces: SpanCollector

  before(async () => {
    plant()
    traces = await spanCollector()
    const request = `Check the ${inRequest} of this quarter: add up what is valid and name the faulty ones. Compare with ../${inHeldPath}.csv.`
    const command = new Command({
      data,
      args: ['start', request, '--workspace', workspace, '--once', '--json', ...model],
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: traces.url },
    })
    const result = command.ended()
    intruders = await Promise.all([breakIn('mesh'), breakIn('audit')])
    for (const intruder of intruders) tap(intruder)
    ended = await result
    for (const path of readdirSync(join(data, 'broker'), { recursive: true, withFileTypes: true })) {
      if (!path.isFile()) continue
      const file = join(path.parentPath, path.name)
      stored.push({ path: file, bytes: readFileSync(file) })
    }
  })
  after(async () => {
    traces.close()
    await Promise.all(intruders.map((intruder) => intruder.close()))
    rmSync(folder, { recursive: true, force: true })
  })

  const model = process.env['CLAWMESH_TEST_MODEL'] ? ['--model', process.env['CLAWMESH_TEST_MODEL']] : []

  function plant(): void {
    const example = join(installation, 'examples', 'ledger', 'workspace', 'q3')
    const target = join(workspace, inFileName)
    mkdirSync(target, { recursive: true })
    cpSync(example, target, { recursive: true })
    for (const name of readdirSync(target)) {
      const text = readFileSync(join(target, name), 'utf8')
      // In place of the first receipt everywhere, so that it is reported as repeated.
      const receipt = /R-\d{4}/.exec(text)?.[0] ?? ''
      const other = [...text.matchAll(/R-\d{4}/g)].find(([found]) => found !== receipt)?.[0] ?? ''
      const marked = text.replaceAll('Anna Meier', inName).replaceAll(receipt, inReceipt).replaceAll(other, inReceipt)
      writeFileSync(join(target, name), marked)
    }
    writeFileSync(join(folder, 'desk', `${inHeldPath}.csv`), `${inName},${inHeldFile}\n`)
  }

  /** Takes over the broker as somebody can who owns its machine: as users with every right, made with the keys behind its accounts. */
  async function breakIn(account: 'mesh' | 'audit'): Promise<NatsConnection> {
    let url = ''
    await eventually(() => {
      const ports = join(data, 'broker', 'ports')
      const [name = ''] = readdirSync(ports).filter((entry) => entry.endsWith('.ports'))
      url = /nats:\/\/[^"]*:\d+/.exec(readFileSync(join(ports, name), 'utf8'))?.[0] ?? ''
      assert.ok(url)
    })
    const accounts = new BrokerAccounts(openBrokerKeys(join(data, 'authority')), addressesOf('', new Uint8Array()))
    const { token, seed } = await accounts.administrator(account)
    const authenticator = jwtAuthenticator(token, new TextEncoder().encode(seed))
    let connection: NatsConnection | undefined
    await eventually(async () => {
      connection = await connect({ servers: url, authenticator, reconnect: false })
    })
    assert.ok(connection)
    return connection
  }

  function tap(connection: NatsConnection): void {
    connection.subscribe('>', {
      callback: (_, { subject, data: bytes, headers }) => {
        tapped.push({ subject, bytes: Buffer.concat([Buffer.from(`${subject}\n${headers ?? ''}\n`), bytes]) })
      },
    })
  }

  const sightings = (canaries: string[]) => {
    const search = new Canaries(canaries)
    return [
      ...tapped.flatMap(({ subject, bytes }) => search.search(subject, bytes)),
      ...stored.flatMap(({ path, bytes }) => search.search(path, bytes)),
    ]
  }

  it('sits on a job that went its way', () => {
    assert.ok(ended.summary?.auditVerified, ended.stderr)
    assert.equal(ended.summary['held'], 1)
    assert.equal(ended.summary['actions'], 36)
    assert.ok(tapped.length > 200, `only ${tapped.length} messages were tapped`)
    assert.ok(tapped.some(({ subject }) => subject.startsWith('cm.')))
    assert.ok(tapped.some(({ subject }) => subject.startsWith('cm-audit.')))
    assert.ok(tapped.some(({ subject }) => subject.startsWith('$KV.')))
    assert.ok(stored.some(({ path }) => path.endsWith('.blk')) && stored.some(({ path }) => path.endsWith('.log')))
    // The canaries were in what the job did and said, or their absence would prove nothing.
    const said = JSON.stringify(ended.summary)
    for (const canary of [inFileName, inReceipt]) assert.ok(said.includes(canary), `${canary} is not in the answer`)
    assert.ok(ended.stderr.includes(inHeldPath))
  })

  it('sees no byte of the files, their names, the request, the answer or the held action', () => {
    const answer = ended.summary?.answer
    assert.ok(answer)
    assert.deepEqual(sightings([...planted, answer, ...(/[\d,]+\.\d\d EUR/.exec(answer) ?? [])]), [])
  })

  // Names and roles of nodes stand in their certificates, which the audit stream carries so that anybody with the root key can verify it.
  it('sees no name of a tool, or of an actor that is not a node', () => {
    assert.deepEqual(sightings(['sandbox/worker', 'inference/model', 'approver', 'check_entries', 'read_file']), [])
  })

  it('is not alone in that: a collector of traces is told which nodes did what for the task, and nothing of it either', () => {
    const root = traces.spans.find(({ name }) => name === 'task')
    assert.ok(root, `no task among ${traces.spans.length} spans`)
    const ofTask = traces.spans.filter(({ traceId }) => traceId === root.traceId)
    const nodes = new Set(ofTask.map(({ node }) => node))
    assert.ok(nodes.size >= 4, [...nodes].join(', '))
    for (const name of ['worker.do', 'sandbox.run'])
      assert.ok(
        ofTask.some((span) => span.name === name && span.kind === 2),
        name,
      )
    const ids = new Set(ofTask.map(({ spanId }) => spanId))
    const lost = ofTask.filter(({ parentSpanId }) => parentSpanId !== undefined && !ids.has(parentSpanId))
    assert.deepEqual(lost, [], 'each has its parent among them')
    assert.deepEqual(
      ofTask.filter(({ parentSpanId }) => parentSpanId === undefined).map(({ name }) => name),
      ['task'],
    )
    const search = new Canaries([...planted, ended.summary?.answer ?? 'the answer'])
    assert.deepEqual(
      traces.bodies.flatMap((body) => search.search('traces', Buffer.from(body))),
      [],
    )
  })

  it('would have seen them: each spelling of each canary is found when it crosses in the clear', async () => {
    const from = tapped.length
    const inClear = () => tapped.slice(from).filter(({ subject }) => subject === 'cm.clear')
    const clear = planted.flatMap((canary) => spellings(canary).map((one) => ({ canary, ...one })))
    // The broker of the job went with it: another one, tapped by the same means.
    const mesh = await natsMesh()
    const asOperator = () => mesh.accounts.administrator('mesh').then((user) => mesh.plain(user))
    const [server, other] = await Promise.all([asOperator(), asOperator()])
    tap(other)
    await other.flush()
    try {
      for (const { bytes } of clear)
        server.publish('cm.clear', Buffer.concat([Buffer.from('x'), bytes, Buffer.from('y')]))
      for (const canary of planted)
        for (const pad of ['', '1', '22'])
          server.publish('cm.clear', Buffer.from(Buffer.from(`${pad}${canary}tail`).toString('base64')))
      await server.flush()
      await eventually(() => assert.equal(inClear().length, clear.length + planted.length * 3))
    } finally {
      await Promise.all([server.close(), other.close()])
      await mesh.close()
    }
    for (const { canary, spelling } of clear) {
      const seen = sightings([canary]).filter(({ where }) => where === 'cm.clear')
      assert.ok(
        seen.some((one) => one.spelling === spelling),
        `${canary} in ${spelling}`,
      )
    }
    for (const [index, { bytes }] of inClear().slice(clear.length).entries()) {
      const canary = planted[Math.floor(index / 3)] ?? ''
      assert.ok(new Canaries([canary]).search('', bytes).length > 0, `${canary} in base64 after ${index % 3} bytes`)
    }
    tapped.length = from
  })
})
