/** The audit trail of a mesh on this machine: read, checkpointed, verified, opened. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Addresses } from '../mesh/address.js'
import { readChain } from '../mesh/audit/chain.js'
import { readCheckpoints, writeCheckpoint } from '../mesh/audit/checkpoint.js'
import { type AuditEvent, openEvent } from '../mesh/audit/event.js'
import { type ReadRecord, readRecord } from '../mesh/audit/record.js'
import { type Fault, type Verdict, verifyTrail } from '../mesh/audit/verify.js'
import type { Authority } from '../mesh/seal/authority.js'
import { readCredentials } from '../mesh/seal/credentials.js'
import type { Stored, Transport } from '../mesh/transport/transport.js'
import { ClawmeshError } from '../policies/errors.js'
import type { DataFolder } from './data-folder.js'

export interface AuditTrail {
  verdict: Verdict
  /** Of every record that can be opened, in the order of the stream. */
  events: DatedEvent[]
}

export interface DatedEvent extends AuditEvent {
  time: number
  producer: string
}

export interface TrailOptions {
  /** Reads the audit stream. */
  records: Transport
  addresses: Addresses
  authority: Authority
  folder: DataFolder
}

/** Verifies all that the stream holds; the authority then vouches for it with a checkpoint, unless something is wrong with it. */
export async function sealTrail(options: TrailOptions, now: number): Promise<AuditTrail> {
  const trail = await inspectTrail(options)
  const hashes = trail.verdict.records.map(({ hash }) => hash)
  if (trail.verdict.ok) writeCheckpoint(options.folder.checkpoints, hashes, options.authority.root, now)
  return trail
}

export async function inspectTrail(options: TrailOptions): Promise<AuditTrail> {
  const { records, addresses, authority, folder } = options
  const stored: Stored[] = []
  for await (const message of records.log(addresses.auditStream).read()) stored.push(message)
  const checkpoints = readCheckpoints(folder.checkpoints, authority.root.publicKey)
  const chains = readChains(folder)
  const verdict = verifyTrail({ stored, checkpoints, chains }, authority.root.publicKey)
  const lost = lostChains(folder, chains, verdict)
  verdict.faults.push(...lost)
  verdict.ok &&= lost.length === 0
  return { verdict, events: verdict.ok ? openEvents(verdict.records, authority) : [] }
}

/** Each producer's own copy, found by the producer that its records name. */
function readChains(folder: DataFolder): Map<string, Uint8Array[]> {
  const chains = new Map<string, Uint8Array[]>()
  for (const node of folder.nodes()) {
    const records = readChain(chainFile(folder, node))
    const [first] = records
    if (first) chains.set(producerOf(first, chainFile(folder, node)), records)
  }
  return chains
}

/** Nodes of this machine that are on the stream and whose own copy is gone. */
function lostChains(folder: DataFolder, chains: Map<string, Uint8Array[]>, { records }: Verdict): Fault[] {
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

export const chainFile = (folder: DataFolder, node: string): string => join(folder.node(node), 'audit.chain')

function openEvents(records: ReadRecord[], authority: Authority): DatedEvent[] {
  return records.map(({ sealed, time, producer }) => ({ ...openEvent(sealed, authority.auditor), time, producer }))
}
