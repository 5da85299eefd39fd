/**
 * Three brokers under load: the one that leads the audit stream, and the directory with it, is killed with -9 again and again, while writers append and calls
 * go to and fro. Then every event that was acknowledged must stand on the stream, once, and no call may have been wronged; nobody should have been taken for lost.
 */
import { jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { z } from 'zod'
import { actor, on } from '../../../mesh/actor/actor.js'
import { message } from '../../../mesh/actor/message.js'
import { addressesOf } from '../../../mesh/address.js'
import { Opener } from '../../../mesh/audit/opener.js'
import { verifyTrail } from '../../../mesh/audit/verify.js'
import type { MeshNode } from '../../../mesh/node.js'
import { ClawmeshError } from '../../../policies/errors.js'
import { eventually } from '../../kit/eventually.js'
import { type NatsMesh, natsMesh } from '../../kit/mesh.js'
import { all } from '../trail.js'

export interface ClusterRun {
  kills: number
  acknowledged: number
  lost: number
  doubled: number
  /** The longest time between two acknowledgements, in milliseconds. */
  gapMs: number
  /** Of the nodes' own chains, on the stream: what an auditor would say. */
  faults: string[]
  /** Nodes that were taken for lost though all of them were there. */
  misjudged: number
  /** Calls with a wrong answer, or that failed otherwise than by a loss that was told. */
  wronged: number
  /** Calls that were answered. */
  answered: number
}

const Echo = message('cluster.echo', { request: z.number(), reply: z.number() })
const echo = actor('echo', () => [on(Echo, (n) => n)], { args: z.undefined(), concurrency: 64 })
const writers = 4

export async function runCluster(
  kills: number,
  random: () => number,
  say: (text: string) => void,
): Promise<ClusterRun> {
  const mesh = await natsMesh(undefined, undefined, 3)
  try {
    const result: ClusterRun = {
      kills: 0,
      acknowledged: 0,
      lost: 0,
      doubled: 0,
      gapMs: 0,
      faults: [],
      misjudged: 0,
      wronged: 0,
      answered: 0,
    }
    const addresses = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
    const names = Array.from({ length: writers }, (_, n) => `writer-${n}`)
    const nodes = await Promise.all(names.map((name) => mesh.join(name)))
    const [first] = nodes
    if (!first) throw new Error('no node')
    await first.spawn(echo)

    const watcher = await mesh.plain(await mesh.accounts.administrator('audit'))
    const operator = await mesh.plain(await mesh.accounts.administrator('mesh'))
    const acknowledged = new Set<string>()
    let last = performance.now()
    let isOver = false
    for (const { directory } of nodes) {
      const misjudge = () => {
        if (!isOver) result.misjudged += 1
      }
      directory.onLost(misjudge)
      directory.onCutOff(misjudge)
    }
    const write = async (node: MeshNode) => {
      for (let n = 0; !isOver; n += 1) {
        const id = `${node.name} ${n}`
        try {
          await node.audit.intend({ kind: 'thought.asked', trace: 'cluster', actor: node.name, facts: { id } })
        } catch {
          continue
        }
        acknowledged.add(id)
        result.gapMs = Math.max(result.gapMs, performance.now() - last)
        last = performance.now()
      }
    }
    const call = async (node: MeshNode) => {
      for (let n = 0; !isOver; n += 1) {
        try {
          if ((await node.ref('echo').ask(Echo, n, { timeoutMs: 120_000 })) !== n) result.wronged += 1
          result.answered += 1
        } catch (error) {
          if (!(error instanceof ClawmeshError && error.code === 'UNREACHABLE')) result.wronged += 1
        }
      }
    }
    const load = [...nodes.map(write), ...nodes.slice(1).map(call)]
    await eventually(() => {
      if (acknowledged.size < writers || result.answered < writers) throw new Error('the load has not begun')
    }, 120_000)
    for (let kill = 0; kill < kills; kill += 1) {
      const leader = await leaderOf(watcher, addresses.auditStream)
      const member = mesh.brokers.members[Number(leader.slice(-1)) - 1]
      if (!member) throw new Error(`no broker is called ${leader}`)
      await leadBy(operator, `KV_${addresses.directory}`, leader)
      const { pid } = member
      const before = { acknowledged: acknowledged.size, answered: result.answered }
      process.kill(pid, 'SIGKILL')
      result.kills += 1
      await eventually(() => {
        if (member.pid === pid || acknowledged.size <= before.acknowledged + writers)
          throw new Error('nothing is acknowledged')
        // Who was taken for lost answers nobody until a supervisor, which there is none here, starts it anew.
        if (result.misjudged === 0 && result.answered <= before.answered + writers)
          throw new Error('nobody is answered')
      }, 120_000)
      say(`${leader} was killed; the longest gap so far is ${Math.round(result.gapMs)} ms`)
      await new Promise((resolve) => setTimeout(resolve, 1000 + random() * 2000))
    }
    isOver = true
    await Promise.all(load)
    await Promise.all(nodes.map((node) => node.audit.flush(120_000)))
    await Promise.all([watcher.close(), operator.close()])
    await count(mesh, acknowledged, result)
    return result
  } finally {
    await mesh.close()
  }
}

async function leaderOf(connection: NatsConnection, stream: string): Promise<string> {
  for (;;) {
    try {
      const manager = await jetstreamManager(connection, { timeout: 1000, checkAPI: false })
      const { cluster } = await manager.streams.info(stream)
      if (cluster?.leader && (cluster.replicas ?? []).every(({ current, offline }) => current && !offline))
        return cluster.leader
    } catch {
      // It is being chosen.
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** Has the leader step down until it is that one. */
async function leadBy(connection: NatsConnection, stream: string, leader: string): Promise<void> {
  while ((await leaderOf(connection, stream)) !== leader)
    await connection.request(`$JS.API.STREAM.LEADER.STEPDOWN.${stream}`).catch(() => undefined)
}

async function count(mesh: NatsMesh, acknowledged: Set<string>, result: ClusterRun): Promise<void> {
  const { auditStream } = addressesOf(mesh.authority.mesh, mesh.authority.meshKey)
  const auditor = await mesh.connectAsAuditor()
  const stored = await all(auditor.log(auditStream))
  await auditor.close()
  const verdict = verifyTrail({ stored, checkpoints: [], chains: new Map() }, mesh.authority.root.publicKey)
  result.faults = verdict.faults.map(({ place, what }) => `${place}: ${what}`)
  const opener = new Opener(mesh.authority.auditor)
  const times = new Map<string, number>()
  for (const record of verdict.records)
    for (const { facts } of opener.open(record)) {
      const id = facts['id']
      if (typeof id === 'string') times.set(id, (times.get(id) ?? 0) + 1)
    }
  result.acknowledged = acknowledged.size
  result.lost = [...acknowledged].filter((id) => !times.has(id)).length
  result.doubled =
    [...times.values()].filter((found) => found > 1).length +
    (stored.length - new Set(stored.map(({ bytes }) => Buffer.from(bytes).toString('base64'))).size)
}
