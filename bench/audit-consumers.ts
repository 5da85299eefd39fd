/**
 * What one consumer reads of the audit stream in a second, opened and chain-verified, against a bare JetStream ordered consumer that reads the same stream
 * and looks at nothing, in the same run. And what it costs the writers when many read at once.
 */
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { jetstream } from '@nats-io/jetstream'
import { addressesOf } from '../mesh/address.js'
import { openChain } from '../mesh/audit/chain.js'
import type { BrokerUser } from '../mesh/broker/accounts.js'
import { connectNats } from '../mesh/transport/nats.js'
import { readTrail, strictReader } from '../nodes/audit/read.js'
import { type NatsMesh, natsMesh, temporaryFolder } from '../test/kit/mesh.js'
import type { Report } from './figure.js'

const events = 12_000
const rounds = 3
const followers = 20
const writes = 1000

export default async function bench(report: Report): Promise<void> {
  const mesh = await natsMesh()
  const folder = temporaryFolder()
  try {
    const node = await mesh.join('writer')
    // One after another, so that each is a record of its own: what is slowest to read.
    for (let n = 0; n < events; n += 1)
      await node.note(
        'thought.asked',
        { n, words: 'How many lines has q3/07-travel.csv?', label: 'INTERNAL' },
        'task-1',
      )
    if (!(await node.audit.flush(60_000))) throw new Error('the stream did not take the events')
    const read = { opened: [0], verified: [0], bare: [0] }
    for (let round = 0; round < rounds; round += 1) {
      read.opened.push(await ours(mesh, true))
      read.verified.push(await ours(mesh, false))
      read.bare.push(await bare(mesh))
    }
    const [opened, verified, baseline] = [read.opened, read.verified, read.bare].map((all) => Math.max(...all)) as [
      number,
      number,
      number,
    ]
    const unit = 'events/s'
    report({
      metric: 'one consumer, opened and chain-verified, against a bare ordered consumer',
      value: opened,
      unit,
      baseline,
      ratio: opened / baseline,
      aim: '≥ 20000',
      ok: opened >= 20_000,
    })
    report({ metric: 'one consumer, chain-verified only', value: verified, unit, baseline, ratio: verified / baseline })
    await slowing(mesh, folder, report)
  } finally {
    await mesh.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Events a second of a whole reading. */
async function ours(mesh: NatsMesh, open: boolean): Promise<number> {
  const transport = await mesh.connectAsAuditor()
  const { authority } = mesh
  const log = transport.log(addressesOf(authority.mesh, authority.meshKey).auditStream)
  const begun = performance.now()
  let count = 0
  for await (const batch of readTrail({ log, authority, after: 0, ...strictReader(authority.root.publicKey) })) {
    if (open) for (const event of batch) event.open()
    count += batch.length
  }
  const perSecond = (1000 * count) / (performance.now() - begun)
  if (count < events) throw new Error(`${count} of ${events} events were read`)
  await transport.close()
  return perSecond
}

/** The same stream, message by message, each of which holds many events; counted as the events that they hold. */
async function bare(mesh: NatsMesh): Promise<number> {
  const connection = await mesh.plain(await mesh.accounts.administrator('audit'))
  const { authority } = mesh
  const begun = performance.now()
  const consumer = await jetstream(connection).consumers.get(addressesOf(authority.mesh, authority.meshKey).auditStream)
  for await (const message of await consumer.consume({ max_messages: 1000 })) if (message.info.pending === 0) break
  const perSecond = (1000 * events) / (performance.now() - begun)
  await connection.close()
  return perSecond
}

/** Intents, one after another, with a chain file as every node has it, without readers and with many that follow in a process's own thread. */
async function slowing(mesh: NatsMesh, folder: string, report: Report): Promise<void> {
  const node = await mesh.join('measured', { chain: openChain(join(folder, 'measured.chain')) })
  const intend = (n: number) =>
    node.audit.intend({ kind: 'action.intended', trace: 'task-2', actor: 'bench', facts: { n } })
  const perSecond = async () => {
    const begun = performance.now()
    for (let n = 0; n < writes; n += 1) await intend(n)
    return (1000 * writes) / (performance.now() - begun)
  }
  await perSecond()
  const { auditStream } = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
  const auditor = await mesh.connectAsAuditor()
  const alone: number[] = []
  const watched: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    alone.push(await perSecond())
    const from = (await auditor.log(auditStream).last()) + 1
    const user = await mesh.accounts.administrator('audit')
    const watch: Watch = { servers: [mesh.broker.url], user, auditStream, from }
    const worker = new Worker(new URL(import.meta.url), { workerData: watch })
    const following = once(worker, 'message')
    await intend(0)
    await following
    const seen = once(worker, 'exit')
    watched.push(await perSecond())
    await seen
  }
  await auditor.close()
  const [value, baseline] = [Math.max(...watched), Math.max(...alone)]
  report({
    metric: `intents, one after another, while ${followers} consumers on a thread of their own follow`,
    value,
    unit: '1/s',
    baseline,
    ratio: value / baseline,
    aim: '≥ 0.9',
    ok: value / baseline >= 0.9,
  })
}

interface Watch {
  servers: string[]
  user: BrokerUser
  auditStream: string
  from: number
}

/** The consumers: say when each has seen the first message, and end when each has seen all. */
async function watchTrail({ servers, user, auditStream, from }: Watch): Promise<void> {
  const transport = await connectNats({ servers, user, name: 'consumers' })
  const log = transport.log(auditStream)
  let waiting = followers
  const follow = async () => {
    const stop = new AbortController()
    let seen = 0
    for await (const _message of log.follow(from, stop.signal)) {
      seen += 1
      if (seen === 1 && --waiting === 0) parentPort?.postMessage('following')
      if (seen > writes) break
    }
  }
  await Promise.all(Array.from({ length: followers }, follow))
  await transport.close()
}

if (!isMainThread) await watchTrail(workerData as Watch)
