/**
 * What an acknowledged audit event costs: sealed, signed, chained, synced to this node's disk and acknowledged by the stream, against the plain client's
 * acknowledged publish of as many bytes to a stream of the same broker, in the same run; and what it costs more to seal its facts to a person, too.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { openChain } from '../mesh/audit/chain.js'
import { natsMesh, temporaryFolder } from '../test/kit/mesh.js'
import type { Report } from './figure.js'

const rounds = 3
const count = 4000
/** About what a sealed event of a thought weighs. */
const eventBytes = 400

export default async function bench(report: Report): Promise<void> {
  const folder = temporaryFolder()
  const mesh = await natsMesh()
  const plain = await mesh.plain(await mesh.accounts.administrator('mesh'))
  try {
    const node = await mesh.join('writer', { chain: openChain(join(folder, 'audit.chain')) })
    await (await jetstreamManager(plain)).streams.add({ name: 'bench', subjects: ['bench.events'] })
    const js = jetstream(plain)
    const bytes = new Uint8Array(eventBytes)
    const intend = (n: number, trace = 'bench') =>
      node.audit.intend({ kind: 'thought.asked', trace, actor: 'bench', facts: { n, words: 'x'.repeat(200) } })
    node.file('about ada', mesh.authority.subjects.keyOf('ada'))
    for (const inFlight of [1, 256]) {
      const calls = inFlight === 1 ? count / 10 : count
      const [ours, theirs]: [number[], number[]] = [[], []]
      for (let round = 0; round < rounds; round += 1) {
        ours.push(await perSecond(intend, inFlight, calls))
        theirs.push(await perSecond(() => js.publish('bench.events', bytes), inFlight, calls))
      }
      const [value, baseline] = [Math.max(...ours), Math.max(...theirs)]
      const figure = {
        metric: `acknowledged audit event, ${inFlight} in flight, against js.publish`,
        value,
        unit: '1/s',
        baseline,
        ratio: value / baseline,
      }
      report(inFlight === 1 ? figure : { ...figure, aim: '≥ 3', ok: value / baseline >= 3 })
    }
    const [about, nobody]: [number[], number[]] = [[], []]
    for (let round = 0; round < rounds; round += 1) {
      about.push(await perSecond((n) => intend(n, 'about ada'), 256, count))
      nobody.push(await perSecond((n) => intend(n), 256, count))
    }
    const [value, baseline] = [Math.max(...about), Math.max(...nobody)]
    report({
      metric: 'audit event about a person, 256 in flight, against one about nobody',
      value,
      unit: '1/s',
      baseline,
      ratio: value / baseline,
    })
  } finally {
    await plain.close()
    await mesh.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function perSecond(call: (n: number) => Promise<unknown>, inFlight: number, calls: number): Promise<number> {
  let left = calls
  const lane = async () => {
    while (left-- > 0) await call(left)
  }
  const begun = performance.now()
  await Promise.all(Array.from({ length: inFlight }, lane))
  return (1000 * calls) / (performance.now() - begun)
}
