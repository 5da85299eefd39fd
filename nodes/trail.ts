/** The audit trail of a mesh on this machine: read, checkpointed, verified, opened. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import type { Addresses } from '../mesh/address.js'
import { type OwnCopy, readChain } from '../mesh/audit/chain.js'
import {
  type CheckpointMark,
  markSchema,
  missingCheckpoints,
  readCheckpoints,
  writeCheckpoint,
} from '../mesh/audit/checkpoint.js'
import type { DatedEvent } from '../mesh/audit/event.js'
import { Opener } from '../mesh/audit/opener.js'
import type { Fault, TrailRecord } from '../mesh/audit/reader.js'
import { readRecord } from '../mesh/audit/record.js'
import { type Verdict, verifyTrail } from '../mesh/audit/verify.js'
import type { Authority } from '../mesh/seal/authority.js'
import { readCredentials } from '../mesh/seal/credentials.js'
import type { Stored, Transport } from '../mesh/transport/transport.js'
import { ClawmeshError } from '../policies/errors.js'
import type { DataPaths } from './data-folder.js'
import { type Lock, takeLock } from './lock.mjs'

export interface AuditTrail {
  verdict: Verdict
  /** Of every record that can be opened, in the order of the stream. */
  events: TracedEvent[]
  /** Names of persons who were to be erased, and whose key is there: the erasure was cut short, or a backup was put back. No fault of the trail. */
  unerased: string[]
}

export interface TracedEvent extends DatedEvent {
  readonly producer: string
}

export interface TrailOptions {
  /** Reads the audit stream. */
  records: Transport
  addresses: Addresses
  authority: Authority
  folder: DataPaths
}

/** Verifies all that the stream holds; the authority then vouches for it with a checkpoint, unless something is wrong with it. */
export async function sealTrail(options: TrailOptions, now: number): Promise<AuditTrail> {
  const lock = await turnAt(`${options.folder.checkpoints}.lock`)
  try {
    const trail = await inspectTrail(options)
    const hashes = trail.verdict.records.map(({ hash }) => hash)
    if (trail.verdict.ok) writeCheckpoint(options.folder, hashes, options.authority.root, now)
    return trail
  } finally {
    lock.release()
  }
}

/** Two that vouch at once would each leave out the other's checkpoint. */
async function turnAt(path: string): Promise<Lock> {
  for (const until = performance.now() + turnWithinMs; ; await setTimeout(50)) {
    const lock = takeLock(path)
    if ('release' in lock) return lock
    if (performance.now() > until)
      throw new ClawmeshError('DATA_IN_USE', `Process ${lock.holder} is adding a checkpoint.`, { hint: 'Try again.' })
  }
}

const turnWithinMs = 60_000

export async function inspectTrail(options: TrailOptions): Promise<AuditTrail> {
  const { records, addresses, authority, folder } = options
  const stored: Stored[] = []
  // Of a mesh that runs: what was sent before the stream is read stands on it, and what stands on it the copies have that are read after it.
  const sent = new Map(folder.nodes().map((node) => [node, readChain(chainFile(folder, node)).sent]))
  const checkpoints = readCheckpoints(folder.checkpoints, authority.root.publicKey)
  for await (const message of records.log(addresses.auditStream).read()) stored.push(message)
  const { chains, doubled } = readChains(folder, sent)
  const verdict = verifyTrail({ stored, checkpoints, chains }, authority.root.publicKey)
  verdict.faults.push(...doubled, ...lostChains(folder, chains, verdict))
  const events = verdict.faults.length === 0 ? openEvents(verdict, authority) : []
  const ofAuthority = byAuthority(events, verdict.records)
  const marks = marksIn(ofAuthority)
  verdict.faults.push(...missingCheckpoints(folder, marks, authority.root.publicKey))
  verdict.ok = verdict.faults.length === 0
  return { verdict, events: verdict.ok ? events : [], unerased: unerasedIn(ofAuthority, authority) }
}

interface OwnCopies {
  chains: Map<string, OwnCopy>
  /** Two folders that hold one producer's chain: one of them is a copy, and who wrote what cannot be told. */
  doubled: Fault[]
}

/** Each producer's own copy, found by the producer that its records name. */
function readChains(folder: DataPaths, sent: Map<string, number>): OwnCopies {
  const chains = new Map<string, OwnCopy>()
  const owners = new Map<string, string>()
  const doubled: Fault[] = []
  for (const node of folder.nodes()) {
    const copy = readChain(chainFile(folder, node))
    const [first] = copy.records
    if (!first) continue
    const producer = producerOf(first, chainFile(folder, node))
    const owner = owners.get(producer)
    if (owner === undefined) {
      owners.set(producer, node)
      chains.set(producer, { records: copy.records, sent: sent.get(node) ?? 0 })
    } else {
      doubled.push({ place: `node ${node}`, what: `its chain file is of the same producer as that of node ${owner}` })
    }
  }
  return { chains, doubled }
}

/** Only the authority's own nodes are heard: any other could make it up. */
function byAuthority(events: TracedEvent[], records: TrailRecord[]): TracedEvent[] {
  const authorities = new Set<string>()
  for (const { producer, epoch } of records)
    if (epoch.certificate.roles.includes('authority')) authorities.add(producer)
  return events.filter(({ producer }) => authorities.has(producer))
}

/** Which checkpoints the runs found when they began. */
const marksIn = (events: TracedEvent[]): CheckpointMark[] =>
  events.filter(({ kind }) => kind === 'checkpoints.found').map(({ facts }) => markSchema.parse(facts))

const erasureSchema = z.object({ keys: z.array(z.string()) })

function unerasedIn(events: TracedEvent[], { subjects }: Authority): string[] {
  const keys = events.flatMap(({ kind, facts }) => (kind === 'subject.erased' ? erasureSchema.parse(facts).keys : []))
  return [...new Set(keys.flatMap((key) => subjects.nameOf(key) ?? []))].sort()
}

/** Nodes of this machine that are on the stream and whose own copy is gone. */
function lostChains(folder: DataPaths, chains: Map<string, OwnCopy>, { records }: Verdict): Fault[] {
  const producers = new Set(records.map(({ producer }) => producer))
  return folder.nodes().flatMap((name) => {
    const file = join(folder.node(name), 'credentials.json')
    const holder = existsSync(file) ? readCredentials(file, undefined).certificate.holder : undefined
    if (holder === undefined || chains.has(holder) || !producers.has(holder)) return []
    return [{ place: `node ${name}`, what: `its own chain file ${chainFile(folder, name)} is gone` }]
  })
}

function producerOf(record: Uint8Array, file: string): string {
  try {
    return readRecord(record).producer
  } catch (cause) {
    throw new ClawmeshError('AUDIT_BROKEN', `The chain file ${file} does not begin with an audit record.`, {
      hint: 'It was changed. Compare it with the stream (`clawmesh audit verify` after moving it away) and with a backup.',
      cause,
    })
  }
}

export const chainFile = (folder: DataPaths, node: string): string => join(folder.node(node), 'audit.chain')

/** A record that its node sealed wrongly is whole as a link of the chain and says nothing: that is a fault too. */
function openEvents({ records, faults }: Verdict, authority: Authority): TracedEvent[] {
  const opener = new Opener(authority.auditor, authority.subjects)
  return records.flatMap((record) => {
    try {
      const events = opener.open(record).map((event) => ({ ...event, producer: record.producer }))
      const lost = events.find(({ unreadable }) => unreadable !== undefined)?.unreadable
      if (lost !== undefined) faults.push({ place: placeOf(record), what: lost })
      return events
    } catch (error) {
      if (error instanceof ClawmeshError && error.code === 'AUDIT_UNAVAILABLE') throw error
      faults.push({ place: placeOf(record), what: ClawmeshError.from(error).message })
      return []
    }
  })
}

const placeOf = ({ number, epoch }: TrailRecord) => `record ${number} of node ${epoch.certificate.name}`
