/**
 * What one consumer reads of the audit stream in a second, opened and chain-verified, against a bare JetStream ordered consumer that reads the same stream
 * and looks at nothing, in the same run. And what it costs the writers when many read at once.
 */
import { jetstream } from '@nats-io/jetstream'
import { addressesOf } from '../mesh/address.js'
import { readTrail, strictReader } from '../nodes/audit/read.js'
import { type NatsMesh, natsMesh } from '../test/kit/mesh.js'
import type { Report } from './figure.js'

const events = 12_000
const rounds = 3
const followers = 20
const writes = 300

export default async function bench(report: Report): Promise<void> {
  const mesh = await natsMesh()
  try {
    const node = await mesh.join('writer')
    // As a node under load writes: many events before the stream has acknowledged the last, so that batches are full.
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
    await slowing(mesh, report)
  } finally {
    await mesh.close()
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

/** Intents, one after another, without readers and with many that follow. */
async function slowing(mesh: NatsMesh, report: Report): Promise<void> {
  const node = await mesh.join('measured')
  const perSecond = async () => {
    const begun = performance.now()
    for (let n = 0; n < writes; n += 1)
      await node.audit.intend({ kind: 'action.intended', trace: 'task-2', actor: 'bench', facts: { n } })
    return (1000 * writes) / (performance.now() - begun)
  }
  await perSecond()
  const { auditStream } = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
  const alone: number[] = []
  const watched: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    alone.push(await perSecond())
    const stops = Array.from({ length: followers }, () => new AbortController())
    const transport = await mesh.connectAsAuditor()
    const log = transport.log(auditStream)
    const from = (await log.last()) + 1
    const seen = stops.map(() => 0)
    const reading = stops.map(async ({ signal }, index) => {
      for await (const _message of log.follow(from, signal)) seen[index] = (seen[index] ?? 0) + 1
    })
    watched.push(await perSecond())
    while (seen.some((count) => count < writes)) await new Promise((resolve) => setTimeout(resolve, 10))
    for (const stop of stops) stop.abort()
    await Promise.all(reading)
    await transport.close()
  }
  const [value, baseline] = [Math.max(...watched), Math.max(...alone)]
  report({
    metric: `intents, one after another, while ${followers} consumers in this process follow`,
    value,
    unit: '1/s',
    baseline,
    ratio: value / baseline,
    aim: '≥ 0.9',
    ok: value / baseline >= 0.9,
  })
}
